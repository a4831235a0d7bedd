"""Pages whose attributes hold handlers that run without input, and handlers that wait for input.

`onward` is the path to which Chromium navigates without any input, and the path to which the
fetcher says that the page leads. It is empty if the page stays.
"""

from tests.browser.case import Case, leading_page

_GO = "\"location='/to'\""


def _handler(name: str, element: str) -> Case:
    return leading_page(name, element.replace("GO", _GO))


CASES = (
    _handler("marquee", "<marquee onstart=GO>x</marquee>"),
    _handler("video", "<video src=data:, onerror=GO></video>"),
    _handler("video_source", "<video><source src=data:, onerror=GO></video>"),
    _handler("audio", "<audio src=data:, onloadstart=GO></audio>"),
    _handler("picture", "<img src=data:image/gif;base64,R0lGODlhAQABAAAAACw= onerror=GO>"),
    _handler("embedded_frame", "<iframe onload=GO></iframe>"),
    _handler("style", "<style onload=GO>p {}</style>"),
    _handler("link", "<link rel=stylesheet href=data:text/css, onload=GO>"),
    _handler("script", "<script src=data:, onload=GO></script>"),
    _handler("focus_inside", "<input autofocus onfocusin=GO>"),
    _handler("focus_of_parent", "<p onfocusin=GO><input autofocus></p>"),
    _handler("focusable_text", "<p tabindex=0 autofocus onfocus=GO>x</p>"),
    _handler("animated", "<style>@keyframes x {}</style><p style='animation:x' onanimationend=GO>"),
    _handler(
        "animated_in_old_style",
        "<style>@keyframes x {}</style><p style='animation:x' onwebkitanimationend=GO>",
    ),
    _handler(
        "visible", "<p style=content-visibility:auto oncontentvisibilityautostatechange=GO>x</p>"
    ),
    _handler("toggled_before", "<details open onbeforetoggle=GO>x</details>"),
    _handler("fragment", "<body onhashchange=GO><script>location.hash = 'x'</script>"),
    _handler("message", "<body onmessage=GO><script>postMessage('x', '*')</script>"),
    _handler("rejection", "<body onunhandledrejection=GO><script>Promise.reject(1)</script>"),
    _handler("error_of_body", "<body onerror=GO><script>x.y</script>"),
    _handler("shown", "<body onpageshow=GO>"),
    _handler("key", "<input autofocus onkeydown=GO>"),
    _handler("pointer", "<p onmouseover=GO onpointerenter=GO>x</p>"),
    _handler("left", "<body onunload=GO onbeforeunload=GO onblur=GO>"),
    _handler("no_handler", "<p onload=GO onerror=GO>x</p>"),
    _handler("marquee_of_other_element", "<p onstart=GO>x</p>"),
)
