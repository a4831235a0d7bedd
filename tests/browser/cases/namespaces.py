"""SVG, MathML, templates and shadow trees: which parts belong to the HTML document."""

from tests.browser.case import Case, make_response

_ALL = ("title", "targets", "password")
_FORM = "<form action=/real><input type=password></form>"


def _case(name: str, page: str) -> Case:
    return Case(name, {"/": make_response("<!doctype html>" + page)}, _ALL)


CASES = (
    _case("svg_title_first", "<body><svg><title>PayPal</title></svg><title>real</title>"),
    _case("svg_title_only", "<body><svg><title>PayPal</title></svg>"),
    _case("svg_form", "<body><svg><form action=/x><input type=password></form></svg>"),
    _case("math_form", "<body><math><form action=/x></form></math><title>m</title>"),
    _case("foreign_object", f"<title>a</title><svg><foreignObject>{_FORM}</foreignObject></svg>"),
    _case("svg_desc", f"<title>a</title><svg><desc>{_FORM}</desc></svg>"),
    _case("title_in_desc", "<body><svg><desc><title>in desc</title></desc></svg>"),
    _case("math_token", f"<title>a</title><math><mi>{_FORM}</mi></math>"),
    _case(
        "annotation_html",
        f"<title>a</title><math><annotation-xml encoding=Text/HTML>{_FORM}</annotation-xml></math>",
    ),
    _case(
        "annotation_svg",
        "<math><annotation-xml><svg><title>n</title></svg></annotation-xml></math><title>b</title>",
    ),
    _case("svg_base", f"<title>a</title><svg><base href=http://evil.test/ /></svg>{_FORM}"),
    _case("two_titles", "<title></title><title>second</title>"),
    _case("title_in_body", "<body><p>x</p><div><title>late</title></div>"),
    _case("template", f"<template><title>t</title>{_FORM}</template><title>a</title>"),
    _case("svg_input", "<title>a</title><svg><g><input type=password></g></svg>"),
    *(
        _case(f"noscript_{name}", f"<title>a</title>{begin}<p>{_FORM}")
        for name, begin in (
            ("in_bogus_comment", "<!x <noscript>"),
            ("in_instruction", "<?x <noscript>"),
            ("in_bogus_end_tag", "</ <noscript>"),
            ("in_section", "<![CDATA[ <noscript>"),
            ("with_vertical_tab", "<noscript\x0b>"),
            ("in_nested_script", "<script><!--<script></script><noscript>--></script>"),
            ("in_script_comment", "<script><!--</script><noscript>b</noscript>"),
            ("in_svg", "<svg><noscript>"),
            ("in_math", "<math><noscript></noscript></math>"),
            ("in_svg_style", "<svg><style><!--</style><noscript>--></style></svg>"),
            ("in_svg_section", "<svg><![CDATA[ > </svg><noscript> ]]></svg>"),
            ("after_svg", "<svg><g a='/'><path d=/ /></g></svg><noscript>"),
        )
    ),
)
