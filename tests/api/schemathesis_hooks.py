"""What schemathesis cannot make up by itself: zip files, whole ones and what only says that it is one."""

from __future__ import annotations

import schemathesis
from hypothesis import strategies as st

from tests.build.archives import zipped

PROJECTS = st.dictionaries(
    st.sampled_from(["src/main.ts", "main.js", "package.json", "../outside.ts"]), st.text(max_size=40)
)

schemathesis.openapi.media_type("application/zip", PROJECTS.map(zipped) | st.binary(max_size=200))
