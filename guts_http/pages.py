"""The one page for people: what this node is, how it is doing, what to type next. No script, no outside."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from typing import Any

from jinja2 import Environment
from quart import Response

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1rem; color: #1a1a1a; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; } th { text-align: left; font-weight: normal; color: #555; padding-right: 1.5rem; }
td, th { vertical-align: top; padding: .15rem 1.5rem .15rem 0; } code, pre { font-family: ui-monospace, monospace; }
td code { overflow-wrap: anywhere; } pre { background: #f4f4f2; padding: .8rem 1rem; overflow-x: auto; }
.bad { color: #a40000; }
"""
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ network }} &middot; Guts</title>
<style>{{ style }}</style>
</head>
<body>
<h1>{{ network }}</h1>
<p>A git forge on {{ validators }} validator{{ "" if validators == 1 else "s" }};
{% if fault_model == "crash" %}agreed by one operator's majority, not BFT.
{% else %}what it shows is agreed by {{ quorum }} of them.{% endif %}</p>
{% if halted %}<p class="bad">Agreement has stopped: {{ halted }}</p>{% endif %}
<table>
<tr><th>Height</th><td>{{ height }}</td></tr>
<tr><th>Final since</th><td>{{ final }}</td></tr>
<tr><th>Connected validators</th><td>{{ peers }} of {{ validators - 1 }} others</td></tr>
{% if missing_packs %}<tr><th>Packs still to fetch</th><td>{{ missing_packs }}</td></tr>{% endif %}
{% if missing_texts %}<tr><th>Texts still to fetch</th><td>{{ missing_texts }}</td></tr>{% endif %}
<tr><th>State root</th><td><code>{{ state_root }}</code></td></tr>
<tr><th>Chain</th><td><code>{{ chain_id }}</code></td></tr>
<tr><th>Version</th><td>{{ version }}</td></tr>
</table>
<h2>Clone and push</h2>
<pre>git clone {{ base_url }}/OWNER/NAME.git
git push {{ base_url }}/YOU/NEW-NAME.git main</pre>
<p>Pushing to a name that is not there under your own account creates it; <code>-o private</code> makes it private.
Sign in with your account's name and a token as password.</p>
<p>Private repositories are readable by their members and by the operators of this network.</p>
<h2 id="api">API</h2>
<p>GitHub's shapes under <code>{{ base_url }}/api/v3</code>, Guts's own under
<a href="/api/guts/v1/status">{{ base_url }}/api/guts/v1</a>.</p>
</body>
</html>
"""
_TEMPLATE = Environment(autoescape=True).from_string(_PAGE)
_STYLE_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode("ascii")
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


def index(values: dict[str, Any], base_url: str) -> Response:
    """The page, from the fields of the status."""
    html = _TEMPLATE.render(values, base_url=base_url, style=_Trusted(_STYLE))
    return Response(html, content_type="text/html; charset=utf-8", headers=SECURITY_HEADERS)


class _Trusted(str):
    """Our own style sheet, whose hash the policy names: not escaped."""

    __slots__ = ()

    def __html__(self) -> str:
        return str(self)
