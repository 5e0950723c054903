import io

import pytest

from config.wsgi import read_refused_bodies


@pytest.mark.parametrize(("status", "left"), [("413 Content Too Large", b""), ("200 OK", b"body")])
def test_a_body_that_is_too_large_is_read_before_it_is_refused(status, left):
    started, body = [], io.BytesIO(b"body")

    def application(environ, start_response):
        start_response(status, [])
        return [b"answer"]

    answer = read_refused_bodies(application)({"wsgi.input": body}, lambda *words: started.append(words))

    assert (started, answer, body.read()) == ([(status, [])], [b"answer"], left)
