"""What is changed in a room: the operators are mutmut's, and one mutant is one of their changes in one function.

What mutmut itself leaves out is put back: decorated functions (properties and cached ones), and calls of `len` and
`isinstance`. What stays out is said in survivors.toml.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import libcst
from libcst.metadata import ByteSpanPositionProvider, MetadataWrapper
from mutmut.mutation.file_mutation import MutationVisitor
from mutmut.mutation.mutators import mutation_operators
from mutmut.mutation.pragma_handling import IgnoredCode

from tests.attacks.mutants.hunt import Mutant


class _Visitor(MutationVisitor):  # type: ignore[misc] # mypy does not look into mutmut
    METADATA_DEPENDENCIES = (*MutationVisitor.METADATA_DEPENDENCIES, ByteSpanPositionProvider)

    def _skip_node_and_children(self, node: libcst.CSTNode) -> bool:
        if isinstance(node, libcst.FunctionDef | libcst.Call):
            return False
        return bool(super()._skip_node_and_children(node))


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Every mutant of a source file, in the order of its lines."""
    source = path.read_bytes()
    wrapper = MetadataWrapper(libcst.parse_module(source))
    visitor = _Visitor(mutation_operators, IgnoredCode(set(), set(), set()))
    module = wrapper.visit(visitor)
    spans = wrapper.resolve(ByteSpanPositionProvider)
    functions = list(_functions(ast.parse(source).body, ""))
    seen = set()
    for mutation in visitor.mutations:
        span = spans[mutation.original_node]
        start, end = span.start, span.start + span.length
        line = source.count(b"\n", 0, start) + 1
        name = next((name for name, first, last in functions if first <= line <= last), None)
        space = source[start:end][: len(source[start:end]) - len(source[start:end].lstrip())]
        changed = space + module.code_for_node(mutation.mutated_node).strip().encode()
        if name is None or changed == source[start:end]:
            continue
        first, last = source.rfind(b"\n", 0, start) + 1, source.find(b"\n", end)
        was, becomes = source[first:last], source[first:start] + changed + source[end:last]
        mutant = Mutant(
            name, was.strip().decode(), becomes.strip().decode(), (source[:start] + changed + source[end:]).decode()
        )
        if (start, mutant.name) not in seen:  # two operators may make the same of a node
            seen.add((start, mutant.name))
            yield mutant


def _functions(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, int, int]]:
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef) and not _is_overload(statement):
            yield prefix + statement.name, statement.lineno, statement.end_lineno or 0
        elif isinstance(statement, ast.ClassDef):
            yield from _functions(statement.body, f"{prefix}{statement.name}.")


def _is_overload(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(isinstance(decorator, ast.Name) and decorator.id == "overload" for decorator in function.decorator_list)
