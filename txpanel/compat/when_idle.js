// Runs work when the browser is idle. Safari cannot tell, so there it runs after a short pause.
//
// Versions: any Safari without `requestIdleCallback` (17 and 18 have none).
// Reason: correctness; figures outside the screen would never be painted there.
// Upstream: WebKit/WebKit, Source/WebCore/page: `requestIdleCallback` is behind a switch.
// Test: tests/test_browser_modules.py::test_the_unit_tests_of_the_browser_modules_pass
const SOON = 50 // milliseconds
const SLICE = 20 // milliseconds that such a pause is assumed to last

export function whenIdle(work, options) {
  if (globalThis.requestIdleCallback) return requestIdleCallback(work, options)
  return setTimeout(() => {
    const end = performance.now() + SLICE
    work({timeRemaining: () => Math.max(0, end - performance.now())})
  }, SOON)
}
