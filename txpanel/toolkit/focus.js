// The element that has the focus, inside whatever shadow roots it is.
export function focused() {
  let node = document.activeElement
  while (node?.shadowRoot?.activeElement) node = node.shadowRoot.activeElement
  return node
}
