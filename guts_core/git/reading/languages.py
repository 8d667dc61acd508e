"""
What a repository is written in: bytes of each language, told by the names of files and by nothing they contain.

Only sizes are asked for, so a repository of any size costs one walk through its newest tree. What others wrote
and what programs made is not counted; prose and data are not counted either, as on other forges.
"""

from __future__ import annotations

import re
from collections import Counter

from guts_core.names import Oid

from .objects import Bounded
from .trees import LINK, walk

_TABLE = """
Ada: adb ads
Assembly: asm s
Awk: awk
Batchfile: bat cmd
C: c h
C#: cs csx
C++: cc cpp cxx c++ hh hpp hxx h++ inl ipp tpp
CMake: cmake CMakeLists.txt
COBOL: cbl cob
CSS: css
Clojure: clj cljs cljc edn
CoffeeScript: coffee
Common Lisp: lisp lsp cl
Crystal: cr
Cuda: cu cuh
D: d di
Dart: dart
Dockerfile: dockerfile Dockerfile Containerfile
Elixir: ex exs
Elm: elm
Emacs Lisp: el
Erlang: erl hrl
F#: fs fsi fsx
Fortran: f f77 f90 f95 f03 f08 for
GLSL: glsl vert frag geom
Go: go
Groovy: groovy gradle Jenkinsfile
HCL: tf tfvars hcl
HTML: html htm xhtml
Haskell: hs lhs
Haxe: hx
Java: java
JavaScript: js mjs cjs jsx
Julia: jl
Jupyter Notebook: ipynb
Just: Justfile justfile
Kotlin: kt kts
Less: less
Lua: lua
M4: m4
MATLAB: matlab
Makefile: mk mak Makefile makefile GNUmakefile Makefile.am Makefile.in
Meson: meson.build
Nim: nim nims
Nix: nix
OCaml: ml mli mll mly
Objective-C: m
Objective-C++: mm
PHP: php phtml php5
Pascal: pas pp dpr
Perl: pl pm t
PowerShell: ps1 psm1 psd1
Prolog: pro prolog
Python: py pyi pyw pyx pxd SConstruct wscript
R: r R rmd
Racket: rkt
Raku: raku rakumod p6
Ruby: rb rake gemspec ru Rakefile Gemfile Vagrantfile
Rust: rs
SCSS: scss
SQL: sql
Sass: sass
Scala: scala sc sbt
Scheme: scm ss sld
Shell: sh bash zsh ksh bats
Smalltalk: st
Solidity: sol
Starlark: bzl BUILD BUILD.bazel WORKSPACE
Svelte: svelte
Swift: swift
SystemVerilog: sv svh
Tcl: tcl tk
TeX: tex sty cls ltx
Thrift: thrift
TypeScript: ts tsx mts cts
VHDL: vhd vhdl
Vala: vala vapi
Verilog: v vh
Vim Script: vim vimrc .vimrc
Visual Basic .NET: vb
Vue: vue
WebAssembly: wat wast
XSLT: xsl xslt
Yacc: y yacc
Zig: zig
"""
_BY_NAME = {
    word.encode(): language
    for language, _, words in (line.partition(": ") for line in _TABLE.strip().splitlines())
    for word in words.split()
}
# Copies of other people's work, and what programs wrote.
_FOREIGN = re.compile(
    rb"(?:^|/)(?:vendor|vendored|third[-_]party|node_modules|bower_components|dist|\.venv|site-packages|Godeps)/"
    rb"|\.min\.(?:js|css)$|\.bundle\.js$|_pb2(?:_grpc)?\.pyi?$|\.pb\.(?:go|cc|h)$|\.g\.dart$|(?:^|/)configure$"
)


def languages(objects: Bounded, commit: Oid) -> dict[str, int]:
    """Bytes by language, the most first."""
    found: Counter[str] = Counter()
    for path, entry in walk(objects, objects.root(commit)):
        language = language_of(path) if entry.is_blob and entry.mode != LINK else None
        if language is not None and not _FOREIGN.search(path):
            found[language] += objects.header(entry.oid).size
    return {name: size for name, size in sorted(found.items(), key=lambda item: (-item[1], item[0])) if size}


def language_of(path: bytes) -> str | None:
    """The language that a file of this name is in; None for prose, data and what is not known."""
    name = path.rpartition(b"/")[2]
    whole = _BY_NAME.get(name) if b"." in name or not name.islower() or name in (b"makefile", b"justfile") else None
    if whole is not None:
        return whole
    _, dot, ending = name.rpartition(b".")
    return (_BY_NAME.get(ending) or _BY_NAME.get(ending.lower())) if dot else None
