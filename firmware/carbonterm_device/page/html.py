"""HTML by hand: everything that comes from outside goes through `escape`, a page is a generator of texts.

Chinese stands beside English; no script is needed, nothing is asked of another server. Narrow screens (320 pixels) get
the same page, with the rows of tables one below the other.
"""

STYLE = """\
:root{--ink:#1b2733;--soft:#5b6b7a;--line:#d5dde4;--ground:#fff;--pale:#f3f6f8;--good:#1a7f4b;--bad:#b3261e;--act:#1f5f99}
@media(prefers-color-scheme:dark){:root{--ink:#e3eaf0;--soft:#9db0c0;--line:#36424d;--ground:#12181e;--pale:#1b242d;\
--good:#58c98d;--bad:#ff8a80;--act:#7fb6ea}}
*{box-sizing:border-box}
body{margin:0;font:15px/1.45 system-ui,"Noto Sans CJK SC","Microsoft YaHei",sans-serif;color:var(--ink);\
background:var(--ground)}
header{background:var(--pale);border-bottom:1px solid var(--line);padding:.4em .8em;display:flex;flex-wrap:wrap;\
line-height:1.3;gap:.2em 1em;align-items:baseline}
header b{margin-right:auto}header form{display:inline}
nav{display:flex;flex-wrap:wrap;gap:.1em .9em}
a{color:var(--act)}nav a{text-decoration:none;padding:.15em 0}nav a.here{border-bottom:2px solid;font-weight:600}
main{padding:.6em .8em 2em;max-width:70em}
h1{font-size:1.25em;margin:.4em 0}h2{font-size:1.05em;margin:1.3em 0 .4em}
p{margin:.5em 0}small,.soft{color:var(--soft)}small{font-size:12.5px}.good{color:var(--good)}.bad{color:var(--bad)}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.25em .7em .25em 0;border-bottom:1px solid var(--line);vertical-align:top;\
overflow-wrap:anywhere}
th{font-weight:600;color:var(--soft);font-size:.9em}td.n{font-variant-numeric:tabular-nums}
ul{padding-left:1.2em;margin:.3em 0}
label{display:block;margin:.7em 0 .15em;font-weight:600}label small{font-weight:400}
input,select,textarea{font:inherit;color:inherit;background:var(--ground);border:1px solid var(--soft);\
border-radius:3px;padding:.3em .4em;width:100%;max-width:34em;display:block}
textarea{min-height:5em;font-family:ui-monospace,monospace}
input.wrong,select.wrong,textarea.wrong{border:2px solid var(--bad)}
button{font:inherit;padding:.35em .9em;margin:.9em .5em .2em 0;border:1px solid var(--act);border-radius:3px;\
background:var(--act);color:var(--ground);cursor:pointer}
button.plain{background:none;color:var(--act)}header button{margin:0;padding:0;border:0}
.box{border:1px solid var(--line);border-left:4px solid var(--act);background:var(--pale);padding:.5em .8em;\
margin:.7em 0}
.box.bad{border-left-color:var(--bad);color:var(--ink)}.box.bad b:first-child{color:var(--bad)}
@media(max-width:560px){html{scrollbar-width:thin}header{gap:0 .6em;padding:.2em .6em;align-items:end}\
main{padding:.2em .6em .4em}header b:not(:last-child){display:none}\
nav{gap:0 .6em;margin-right:auto}nav small,header form small{display:block}\
h1{font-size:1.1em;margin:.2em 0}h2{margin:.7em 0 .2em}.box{margin:.4em 0;padding:.3em .6em}\
thead,td:empty{display:none}tr{display:block;border-bottom:1px solid var(--line);padding:.2em 0}\
td{display:flex;gap:.6em;border:0;padding:.05em 0}\
td[data-h]::before{content:attr(data-h);color:var(--soft);flex:0 0 38%}}
@media(max-width:560px) and (max-height:300px){header:not(:has(nav)){display:none}}
"""

# path, Chinese, English, least role (index in users.ROLES)
MENU = (
    ("/", "状态", "status", 0), ("/emissions", "排放", "emissions", 0), ("/system", "系统", "system", 0),
    ("/manual", "填报", "entries", 1), ("/configuration", "配置", "configuration", 2),
    ("/history", "版本", "versions", 2),
)  # fmt: skip
_SPECIAL = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#39;"))


def escape(value):
    """A text as HTML's content or an attribute's; None is a dash."""
    text = "–" if value is None else value if isinstance(value, str) else str(value)
    for what, with_what in _SPECIAL:
        if what in text:
            text = text.replace(what, with_what)
    return text


def both(chinese, english):
    """中文 English, as HTML."""
    return "%s <small>%s</small>" % (escape(chinese), escape(english))


def page(title, session, parts, here=""):
    """A whole page: generator of texts. title: (Chinese, English); session: a Session, or None before the log-in;
    parts: iterable of HTML."""
    yield (
        '<!doctype html><html lang="zh"><head><meta charset="utf-8"><meta name="viewport" '
        'content="width=device-width,initial-scale=1"><title>%s</title><link rel="stylesheet" href="/style.css"></head>'
        "<body><header><b>%s</b>" % (escape(title[0] + " " + title[1]), both("碳计量数据终端", "carbonterm"))
    )
    if session is not None:
        from carbonterm.users import ROLES

        role = ROLES.index(session.user.role)
        rows = [row for row in MENU if row[3] <= role]
        links = ['<a href="%s"%s>%s</a>' % (path, ' class="here"' if path == here else "", both(chinese, english))
                 for path, chinese, english, _ in rows]  # fmt: skip
        yield "<nav>%s</nav>" % "".join(links)
        yield ('<form method="post" action="/logout">%s<button class="plain">%s %s</button></form>'
               % (hidden(session), escape(session.user.name), both("退出", "log out")))  # fmt: skip
    yield "</header><main><h1>%s</h1>" % both(*title)
    yield from parts
    yield "</main></body></html>"


def hidden(session):
    """The field that shows that a form is ours."""
    return '<input type="hidden" name="token" value="%s">' % session.token


def table(heads, rows):
    """Generator: heads are (Chinese, English), a row a list of cells, each HTML already."""
    yield "<table><thead><tr>%s</tr></thead><tbody>" % "".join(["<th>%s</th>" % both(*head) for head in heads])
    names = [escape(" ".join(head).strip()) for head in heads]
    for row in rows:
        cells = ['<td data-h="%s">%s</td>' % (name, cell) for name, cell in zip(names, row)]
        yield "<tr>%s</tr>" % "".join(cells)
    yield "</tbody></table>"


def section(chinese, english):
    return "<h2>%s</h2>" % both(chinese, english)


def box(text, bad=False):
    return '<div class="box%s">%s</div>' % (" bad" if bad else "", text)


def button(chinese, english, name="do", value="", plain=False):
    return '<button name="%s" value="%s"%s>%s %s</button>' % (
        escape(name), escape(value), ' class="plain"' if plain else "", escape(chinese), escape(english),
    )  # fmt: skip
