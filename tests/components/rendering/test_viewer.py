"""The viewer page: what is in it, and how it behaves in a real browser."""

import base64
import io
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from components.body.loader import load_body
from components.body.model import BodyModel
from components.body.motion_files import BodyMotion
from components.errors import InputError
from components.geometry.meshes import capsule, capsule_figure
from components.geometry.rotations import axis_angle_to_matrix
from components.rendering.motion_films import stand
from components.rendering.motion_gallery import GalleryItem
from components.rendering.viewer.builder import viewer_data, viewer_page, write_viewer
from components.rendering.viewer.light_mesh import build_light_faces, light_faces

HOSTILE = '</script><img src=x onerror=alert(1)> & "walk" <!--<script>'


def wave(frames: int, speed: float = 0.25, labels: bool = False) -> BodyMotion:
    poses = torch.zeros(frames, 24, 3)
    phase = speed * torch.arange(float(frames))
    poses[:, 16, 2] = -1.2 + 0.3 * torch.sin(phase)
    poses[:, 17, 2] = 1.2 + 0.9 * torch.sin(phase)
    poses[:, 1, 0] = 0.5 * torch.sin(phase)
    poses[:, 2, 0] = -0.5 * torch.sin(phase)
    trans = torch.zeros(frames, 3)
    trans[:, 2] = 0.02 * torch.arange(float(frames))
    changes = (("walk", "walk"),) * (frames // 2) + (("walk", "drink"),) * (frames - frames // 2)
    return BodyMotion(poses.flatten(1), trans, 20.0, frame_actions=changes if labels else ())


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_body()


@pytest.fixture(scope="module")
def items() -> list[GalleryItem]:
    return [
        GalleryItem("walk", "walk  (1)", wave(40)),
        GalleryItem("walk", "walk  (2)", wave(30, 0.4)),
        GalleryItem("chain", "walk - walk + drink", wave(60, labels=True)),
        GalleryItem(HOSTILE, HOSTILE, wave(20)),
    ]


def numbers(text: str, dtype: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype)


def test_motions_come_back_out_of_the_page(items: list[GalleryItem], body: BodyModel) -> None:
    """Posed as the page does it: quantised vertices, four weights a vertex, rotation vectors in steps."""
    data = viewer_data(items, body, "title")
    assert [tab["name"] for tab in data["tabs"]] == ["walk", "chain", HOSTILE]
    mesh, motion = data["body"], data["tabs"][0]["motions"][1]
    low, high = np.array(mesh["low"]), np.array(mesh["high"])
    rest = low + numbers(mesh["positions"], "<u2").reshape(-1, 3) / 65535 * (high - low)
    joints, weights = numbers(mesh["joints"], "u1").reshape(-1, 4), numbers(mesh["weights"], "u1").reshape(-1, 4)
    assert (weights.astype(int).sum(1) == 255).all()
    full = np.zeros((len(rest), 24), dtype=np.float32)
    np.add.at(full, (np.arange(len(rest))[:, None], joints), weights / np.float32(255))
    poses = torch.from_numpy(numbers(motion["poses"], "<i2").reshape(-1, 24, 3) * np.pi / 32767).float()
    trans = torch.from_numpy(numbers(motion["trans"], "<i2").reshape(-1, 3) / 32767 * motion["reach"]).float()
    assert motion["frames"] == len(poses) == 30
    regressor = torch.zeros(24, len(rest))
    page_body = BodyModel(
        torch.from_numpy(rest).float(), torch.zeros(len(rest), 3, 10), regressor, torch.from_numpy(full), body.faces[:1]
    )
    page_body.rest_joints = torch.tensor(mesh["rest"])
    posed = page_body(axis_angle_to_matrix(poses), None, trans).vertices
    expected = stand(items[1].motion, body).vertices
    nearest = torch.cdist(page_body.v_template, body.v_template).argmin(1)
    error = (posed - expected[:, nearest]).norm(dim=-1)
    assert error.mean() < 0.001
    assert error.max() < 0.02
    faces = numbers(mesh["faces"], "<u2")
    assert len(faces) == 3 * 4788
    assert faces.max() == len(rest) - 1


def test_labels_of_a_chain_are_stored_where_they_change(items: list[GalleryItem], body: BodyModel) -> None:
    data = viewer_data(items, body, "title")
    assert data["tabs"][1]["motions"][0]["labels"] == [[0, "walk"], [30, "walk + drink"]]
    assert data["tabs"][0]["motions"][0]["labels"] == []


def test_the_page_needs_nothing_else_and_holds_names_as_text(items: list[GalleryItem], body: BodyModel) -> None:
    page = viewer_page(items, body, f"Title {HOSTILE}")
    assert page.count("</script>") == 2
    assert "onerror=alert(1)>" not in page.replace("\\u003cimg src=x onerror=alert(1)>", "").replace("&gt;", "")
    assert not re.search(r"https?://", page)
    assert "innerHTML" not in page
    assert "default-src 'none'" in page
    stored = re.search(r'id="data">(.*?)</script>', page, re.DOTALL)
    assert stored is not None
    assert json.loads(stored.group(1))["tabs"][2]["name"] == HOSTILE
    assert len(page) < 300_000


def test_nothing_to_show(body: BodyModel) -> None:
    with pytest.raises(InputError, match="nothing to show"):
        viewer_page([], body)


def test_another_body_comes_whole() -> None:
    vertices, faces = capsule_figure()
    body = BodyModel(
        vertices, torch.zeros(len(vertices), 3, 10), torch.full((24, len(vertices)), 1 / len(vertices)),
        torch.nn.functional.one_hot(torch.arange(len(vertices)) % 24, 24).float(), faces,
    )  # fmt: skip
    data = viewer_data([GalleryItem("a", "a", wave(3))], body, "title")
    assert data["pieces"] == ["body"]
    assert len(numbers(data["body"]["faces"], "<u2")) == 3 * len(faces)
    assert light_faces(body)[1] is None


def test_light_faces_are_an_oriented_part_of_the_body(body: BodyModel) -> None:
    faces, parts = light_faces(body)
    assert parts is not None
    assert len(faces) < 0.4 * len(body.faces)
    assert set(parts.tolist()) == set(body.face_parts.tolist())  # type: ignore[union-attr]
    edges = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    directed = {tuple(edge) for edge in edges.tolist()}
    # No edge twice in one direction: the surface is oriented. Few are open: eyes, and what the body leaves open.
    assert len(directed) == len(edges)
    open_edges = sum((b, a) not in directed for a, b in directed)
    assert open_edges < 0.05 * len(edges)


def test_parts_keep_their_borders_when_a_body_gets_lighter() -> None:
    vertices, faces = capsule(torch.zeros(3), torch.tensor([0.0, 0.0, 1.0]), 0.3, 0.3)
    parts = (vertices[faces][:, :, 2].mean(1) > 0.5).long()
    body = BodyModel(
        vertices, torch.zeros(len(vertices), 3, 10), torch.zeros(24, len(vertices)), torch.zeros(len(vertices), 24),
        faces, uv_coords=vertices[:, :2], uv_faces=faces, part_names=("low", "high"), face_parts=parts,
    )  # fmt: skip
    light, light_parts = build_light_faces(body, 130)
    assert len(np.unique(light)) == 130
    for part in (0, 1):
        allowed = set(faces[parts == part].flatten().tolist())
        assert set(light[light_parts == part].flatten().tolist()) <= allowed
        assert (light_parts == part).any()


class Page:
    """The page in a browser, with the few looks and touches that the tests need."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, path: Path, mark: str = "") -> None:
        self.driver.get("about:blank")
        self.driver.get(path.as_uri() + mark)
        self.wait(lambda: self.text("counter") != "")

    def script(self, code: str, *values: Any) -> Any:
        return self.driver.execute_script(code, *values)

    def click(self, selector: str) -> None:
        self.script("document.querySelector(arguments[0]).click()", selector)

    def press(self, key: str) -> None:
        self.script("document.dispatchEvent(new KeyboardEvent('keydown', {key: arguments[0], bubbles: true}))", key)

    def text(self, name: str) -> str:
        return str(self.script("return document.getElementById(arguments[0]).textContent", name))

    def frame(self) -> int:
        return int(self.text("counter").split(" / ")[0])

    def picture(self) -> np.ndarray:
        """The canvas as it is seen, once drawn."""
        self.driver.execute_async_script(
            "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()))"
        )
        with Image.open(io.BytesIO(self.driver.find_element("id", "view").screenshot_as_png)) as image:
            return np.asarray(image.convert("RGB")).astype(int)

    def wait_for_change(self, before: np.ndarray, share: float) -> None:
        """Waits until more than ``share`` of the picture differs: a busy machine shows late what is drawn."""
        self.wait(lambda: changed(before, self.picture()) > share)

    def settled(self) -> np.ndarray:
        """The picture of a page at rest: three looks, spread over half a second, are alike."""
        looks = [self.picture()]
        end = time.monotonic() + 90.0
        while len(looks) < 3:
            assert time.monotonic() < end, "the page does not come to rest"
            time.sleep(0.25)
            look = self.picture()
            looks = [*looks, look] if changed(looks[-1], look) == 0 else [look]
        return looks[-1]

    def wait(self, condition: Any, seconds: float = 90.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "the page did not get there in time"
            time.sleep(0.05)

    def errors(self) -> list[str]:
        log = self.driver.get_log("browser")
        return [entry["message"] for entry in log if entry["level"] == "SEVERE" or "Uncaught" in entry["message"]]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed (pip install selenium)")
    from selenium.webdriver.chrome.service import Service

    names = ("chromium", "chromium-browser", "google-chrome")
    program = os.environ.get("TROUPE_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    driver_program = shutil.which("chromedriver")
    if program is None or driver_program is None:
        pytest.skip("no chromium with chromedriver here (TROUPE_CHROMIUM may name the browser)")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    profile = tmp_path_factory.mktemp("profile")
    for flag in (
        "headless=new", "no-sandbox", "disable-gpu", "use-angle=swiftshader", "enable-unsafe-swiftshader",
        "disable-background-networking", "disable-component-update", "disable-sync", "no-first-run",
        f"user-data-dir={profile}", "window-size=900,700", "force-device-scale-factor=1",
    ):  # fmt: skip
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(driver_program))
    driver.set_script_timeout(90)  # half a minute, the default, is short for two pictures on a busy machine
    yield Page(driver)
    driver.quit()


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory, items: list[GalleryItem], body: BodyModel) -> Path:
    return write_viewer(tmp_path_factory.mktemp("viewer") / "viewer.html", items, body, HOSTILE)


def changed(first: np.ndarray, second: np.ndarray) -> float:
    """Share of pixels that differ visibly."""
    return float((np.abs(first - second).max(-1) > 24).mean())


@pytest.mark.slow
@pytest.mark.parametrize("mark", ["", "#canvas"])
def test_the_page_in_a_browser(browser: Page, page_file: Path, mark: str) -> None:
    browser.open(page_file, mark)
    renderer = browser.script("return document.documentElement.dataset.renderer")
    assert renderer == ("canvas" if mark else "webgl")
    # It plays by itself: the counter advances and the picture changes.
    browser.wait(lambda: browser.frame() >= 2)
    first, begin = browser.picture(), browser.frame()
    # A slow machine may have come to the end meanwhile, and the motion begins again.
    browser.wait(lambda: abs(browser.frame() - begin) >= 4)
    browser.wait_for_change(first, 0.002)
    # Paused, nothing moves; a key goes on by one frame.
    browser.press(" ")
    assert browser.text("play") == "Play"
    browser.press("Home")
    browser.wait(lambda: browser.frame() == 1)
    still = browser.settled()
    browser.press("ArrowRight")
    browser.wait(lambda: browser.frame() == 2)
    browser.script("const s = document.getElementById('scrub'); s.value = 20; s.dispatchEvent(new Event('input'))")
    browser.wait(lambda: browser.frame() == 21)
    browser.wait_for_change(still, 0.002)
    moved = browser.settled()
    # A drag turns the view, the wheel brings it nearer, and R goes back.
    drag(browser, 160, 30)
    browser.wait_for_change(moved, 0.02)
    browser.press("r")
    browser.wait(lambda: changed(browser.picture(), moved) < 0.01)
    browser.script("document.getElementById('view').dispatchEvent(new WheelEvent('wheel', {deltaY: -300}))")
    browser.wait_for_change(moved, 0.02)
    # The skeleton, and hiding a sample.
    browser.press("r")
    browser.wait(lambda: changed(browser.picture(), moved) < 0.01)
    browser.click("#bones")
    browser.wait_for_change(moved, 0.005)
    bones = browser.settled()
    browser.press("1")
    browser.wait_for_change(bones, 0.002)
    # Dark.
    before = browser.picture().mean()
    browser.click("#theme")
    browser.wait(lambda: browser.picture().mean() < before - 60)
    assert browser.errors() == []


@pytest.mark.slow
def test_tabs_and_labels(browser: Page, page_file: Path) -> None:
    browser.open(page_file)
    tabs = browser.script("return [...document.querySelectorAll('[role=tab]')].map((tab) => tab.textContent)")
    assert tabs[:2] == ["walk", "chain"]
    assert "img src=x" in tabs[2]  # foreign text is text
    assert browser.script("return document.querySelectorAll('img').length") == 0
    assert browser.text("title") == HOSTILE
    walk = browser.picture()
    browser.click("[role=tab]:nth-child(2)")
    assert browser.script("return document.querySelector('[aria-selected=true]').textContent") == "chain"
    browser.wait(lambda: "/ 60" in browser.text("counter"))
    browser.press(" ")
    browser.press("End")
    chip = "return document.querySelector('.chip').textContent"
    browser.wait(lambda: browser.script(chip) == "walk + drink")
    assert browser.script("return document.querySelector('#bands .now').textContent") == "walk + drink"
    browser.press("]")
    assert browser.script("return document.querySelector('[aria-selected=true]').textContent") == tabs[2]
    browser.wait_for_change(walk, 0.005)
    browser.press("?")
    assert browser.script("return document.getElementById('keys').open")
    assert browser.errors() == []
    requests = browser.script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert [name for name in requests if not name.startswith("data:")] == []


def drag(page: Page, dx: int, dy: int) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    view = page.driver.find_element("id", "view")
    ActionChains(page.driver).move_to_element(view).click_and_hold().move_by_offset(dx, dy).release().perform()
