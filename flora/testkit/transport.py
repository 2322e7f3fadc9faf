"""Discord's REST API without a network: requests go straight to the playground's application."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from quart.testing.utils import sentinel
from quart_trio import QuartTrio

from flora.net.http import MAX_BODY, HttpClient, HttpResponse

BASE_URL = "http://127.0.0.1/api/v10"


class AppClient(HttpClient):
    """An HTTP client whose every host is `app`, which must be running (`app.test_app()`)."""

    def __init__(self, app: QuartTrio) -> None:
        super().__init__()
        self._app = app

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes | Sequence[bytes] = b"",
        deadline: float,
        max_body: int = MAX_BODY,
    ) -> HttpResponse:
        """`deadline` is not needed: the application waits for nothing."""
        parts = urlsplit(url)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        response = await self._app.test_client().open(
            path,
            method=method,
            headers=dict(headers),
            data=body if isinstance(body, bytes) else b"".join(body),
            json=sentinel,
        )
        data = await response.get_data()
        fields = tuple((name.lower(), value) for name, value in response.headers.items())
        return HttpResponse(response.status_code, fields, data if isinstance(data, bytes) else data.encode())
