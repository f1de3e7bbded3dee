"""A real browser lays the page out: nothing is wider than the window, and every figure is drawn."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((path for name in NAMES if (path := shutil.which(name))), None)
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
PROBE = """<script>addEventListener("load", () => {
  const page = document.documentElement, images = [...document.images];
  document.body.dataset.probe = JSON.stringify({
    window: innerWidth, content: page.scrollWidth,
    images: images.length, drawn: images.filter(image => image.naturalWidth > 0).length,
    small: [...document.querySelectorAll("p, td, li")]
      .filter(element => parseFloat(getComputedStyle(element).fontSize) < 11).length,
  });
});</script></body>"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on the PATH"),
]


@pytest.mark.parametrize("width", [500, 1400])
def test_the_page_fits_its_window(page: Path, tmp_path: Path, width: int) -> None:
    probed = tmp_path / "probed.html"
    probed.write_text(page.read_text("utf-8").replace("</body>", PROBE), encoding="utf-8")
    command = [str(CHROMIUM), *OPTIONS, f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},1000"]
    done = subprocess.run([*command, "--dump-dom", probed.as_uri()], capture_output=True, text=True, timeout=120)
    match = re.search(r'data-probe="([^"]*)"', done.stdout)
    assert match is not None, done.stderr[-2000:]
    seen = json.loads(match[1].replace("&quot;", '"'))
    assert seen["content"] <= seen["window"]
    assert seen["drawn"] == seen["images"] == 14
    assert seen["small"] == 0
