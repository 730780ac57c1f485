"""Generation as a tree: each appended token is a step that is kept, and steps branch.

A `TokenTree` begins with a prompt; each further node is one token after its parent, with its settings, its draw and its
probability. Trees are immutable: adding a token gives a new tree that shares its nodes with the old one, so undo only keeps the old
one. A node holds a few numbers only. Its run and its distribution follow from the tokens (`TokenTree.prompt`).
"""

from __future__ import annotations

import codecs
import math
from dataclasses import dataclass, field, replace

from txpanel.decoding import Draw, Settings
from txpanel.decoding.generation import End
from txpanel.session.prompt import Prompt


@dataclass(frozen=True, slots=True)
class TokenNode:
    """One token of a tree.

    Attributes:
        parent: the node before it. token: its id. piece: its bytes. string: what to show. special: whether it is no text
            but a mark such as an end of text.
        settings: with which it came, the draw's seed among them. draw: how it was drawn; None: it was chosen by hand.
        p: its probability after the settings, from which it was drawn. model_p: its probability as the model gave it.
        rank: how many tokens the model held likelier. ended: why generating stopped here; empty if it did not.
    """

    parent: int
    token: int
    piece: bytes
    string: str
    special: bool
    settings: Settings
    draw: Draw | None
    p: float
    model_p: float
    rank: int
    ended: End = ""

    @property
    def surprisal(self) -> float:
        """-log2 of the model's probability, in bits."""
        return -math.log2(self.model_p) if self.model_p > 0 else math.inf


@dataclass(frozen=True)
class TokenTree:
    """A prompt, the tokens that followed it in one or more branches, and where we are.

    Attributes:
        root: the prompt. start: its exact tokens, known once something follows.
        nodes: the tokens in the order in which they came; node n is ``nodes[n - 1]``, node 0 the prompt.
        at: the current node. leaf: the last node of the line that runs through it.
    """

    root: Prompt = field(default_factory=Prompt)
    start: tuple[int, ...] = ()
    nodes: tuple[TokenNode, ...] = ()
    at: int = 0
    leaf: int = 0

    def __len__(self) -> int:
        return len(self.nodes)

    def node(self, node: int) -> TokenNode:
        """A node's token.

        Raises:
            IndexError: there is no such node, or it is the prompt.
        """
        if not 1 <= node <= len(self.nodes):
            raise IndexError(node)
        return self.nodes[node - 1]

    def path(self, node: int) -> list[int]:
        """Nodes from the first token after the prompt to this one; empty for the prompt."""
        found: list[int] = []
        while node:
            found.append(node)
            node = self.node(node).parent
        return found[::-1]

    @property
    def line(self) -> list[int]:
        """The path to `leaf`: what the timeline shows."""
        return self.path(self.leaf)

    def children(self, node: int) -> list[int]:
        """Nodes right after this one, oldest first."""
        return [n for n, token_node in enumerate(self.nodes, 1) if token_node.parent == node]

    def following(self, node: int) -> int | None:
        """The next node of the line; None at its end, or beside it."""
        line = [0, *self.line]
        place = line.index(node) + 1 if node in line else len(line)
        return line[place] if place < len(line) else None

    @property
    def leaves(self) -> list[int]:
        """The last nodes of all branches, oldest first."""
        parents = {token_node.parent for token_node in self.nodes}
        return [n for n in range(1, len(self.nodes) + 1) if n not in parents]

    @property
    def trunk(self) -> int:
        """How many tokens all branches share."""
        after: dict[int, list[int]] = {}
        for n, token_node in enumerate(self.nodes, 1):
            after.setdefault(token_node.parent, []).append(n)
        depth, node = 0, 0
        while len(later := after.get(node, [])) == 1:
            depth, node = depth + 1, later[0]
        return depth

    def fork(self, a: int, b: int) -> int:
        """The last node that two branches share; 0: only the prompt."""
        shared = set(self.path(a))
        return next((n for n in reversed(self.path(b)) if n in shared), 0)

    def log_probability(self, node: int) -> float:
        """Natural logarithm of the probability that the model gave to all tokens up to this node, after the prompt."""
        return math.fsum(math.log(p) if (p := self.node(n).model_p) > 0 else -math.inf for n in self.path(node))

    def prompt(self, node: int) -> Prompt:
        """Text and exact tokens up to a node, to run the model on."""
        path = self.path(node)
        if not path:
            return self.root
        decoder = codecs.getincrementaldecoder("utf-8")("ignore")
        text = decoder.decode(self.root.pending + b"".join(self.node(n).piece for n in path))
        shown = self.root.text if self.root.chat or self.root.apart else self.root.text + text
        ids = (*self.start, *(self.node(n).token for n in path))
        return replace(self.root, text=shown, ids=ids, pending=decoder.getstate()[0], seed=self.settings(node).seed)

    def settings(self, node: int) -> Settings:
        """Of the draw that follows a node: as it was made on this line; at its end the last ones, with the next seed."""
        after = self.following(node)
        if after is not None:
            return self.node(after).settings
        last = self.node(node).settings if node else Settings(seed=self.root.seed)
        return replace(last, seed=last.seed + 1) if node else last

    def add(self, token_node: TokenNode) -> TokenTree:
        """A tree with one more token, which is its current node. If its parent has the same token already, that node is replaced."""
        for n in self.children(token_node.parent):
            if self.node(n).token == token_node.token:
                nodes = (*self.nodes[: n - 1], token_node, *self.nodes[n:])
                return replace(self, nodes=nodes).go(n)
        n = len(self.nodes) + 1
        return replace(self, nodes=(*self.nodes, token_node), at=n, leaf=n)

    def go(self, node: int) -> TokenTree:
        """The same tree with another current node; if that is on another branch, with that branch's newest end as `leaf`.

        Raises:
            IndexError: there is no such node.
        """
        if node != 0:
            self.node(node)  # raises where there is none
        if node == 0 or node in self.line:
            return replace(self, at=node)
        return replace(self, at=node, leaf=self.end(node))

    def end(self, node: int) -> int:
        """The end of the newest branch through a node."""
        while later := self.children(node):
            node = later[-1]
        return node

    def marked(self, node: int, ended: End) -> TokenTree:
        """The same tree, where generating stopped at a node for a reason."""
        nodes = list(self.nodes)
        nodes[node - 1] = replace(self.node(node), ended=ended)
        return replace(self, nodes=tuple(nodes))
