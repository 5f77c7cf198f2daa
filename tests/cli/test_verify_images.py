"""`tidewaiter lint --verify-images` against a real registry: what it prints, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.signed_images import Registry, Signer
from tidewaiter.cli.main import main

KEY, OTHER = Signer(), Signer()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    made = Registry(tmp_path_factory.mktemp("registry"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def images(registry: Registry) -> dict[str, str]:
    made = {name: registry.image(f"shop/{name}") for name in ("signed", "unsigned", "by-other")}
    registry.sign(made["signed"], KEY)
    registry.sign(made["by-other"], OTHER)
    return made


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def write_policy(folder: Path, registry: Registry, more: str = "") -> None:
    (folder / "release.pub").write_text(KEY.public)
    (folder / "tidewaiter.yaml").write_text(
        "apiVersion: tidewaiter.dev/v1\nkind: Policy\nmetadata: {name: shop}\nspec:\n  images:\n"
        f"    - name: shop\n      match: ['{registry.host}/shop/**']\n"
        "      authorities: {key: {file: release.pub}, transparencyLog: ignored}\n" + more
    )


def write_pods(folder: Path, images: dict[str, str], padding: int = 0) -> None:
    folder.mkdir(exist_ok=True)
    for name, image in images.items():
        (folder / f"{name}.yaml").write_text(
            f"apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n"
            f"  containers:\n    - name: app\n      image: {image}\n" + "# padding\n" * padding
        )


def linted(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, dict[str, Any], str]:
    code = main(["lint", "m", "--only", "image-signature", "--format", "json", *options])
    captured = capsys.readouterr()
    return code, json.loads(captured.out), captured.err


def test_what_is_not_signed_is_found_at_its_line(
    tmp_path: Path,
    registry: Registry,
    images: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_policy(tmp_path, registry)
    write_pods(tmp_path / "m", images)
    code = main(["lint", "m", "--only", "image-signature", "--verify-images", "-q"])
    text = capsys.readouterr().out
    for name, image in images.items():
        text = text.replace(image, f"<{name}>")
    assert code == 1
    golden = Path(__file__).with_name("verify_images.golden").read_text(encoding="utf-8")
    assert _without_digests(text) == golden


def _without_digests(text: str) -> str:
    """Leave out what differs from run to run: keys, and the digests of signatures."""
    import re

    return re.sub(r"[0-9a-f]{12,}", "…", text)


def test_several_processes_give_the_same_answer(
    tmp_path: Path,
    registry: Registry,
    images: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_policy(tmp_path, registry)
    write_pods(tmp_path / "m", images, padding=20_000)
    one = linted(capsys, "--verify-images", "--jobs", "1")
    assert one[0] == 1
    assert [each["resource"]["name"] for each in one[1]["findings"]] == ["by-other", "unsigned"]
    assert linted(capsys, "--verify-images", "--jobs", "3") == one


def test_without_the_option_nothing_is_asked_and_the_run_says_so(
    tmp_path: Path,
    registry: Registry,
    images: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_policy(tmp_path, registry)
    write_pods(tmp_path / "m", images)
    code, report, errors = linted(capsys, "--show", "unknown")
    assert code == 0
    assert [each["status"] for each in report["findings"]] == ["unknown"] * 3
    assert "--verify-images" in errors


def test_a_registry_that_is_away_makes_the_run_incomplete(
    tmp_path: Path,
    registry: Registry,
    images: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_policy(tmp_path, registry)
    write_pods(tmp_path / "m", {"signed": images["signed"]})
    assert linted(capsys, "--verify-images")[0] == 0
    registry.stop()
    try:
        assert linted(capsys, "--verify-images")[0] == 0, "the verdict is kept"
        code, report, errors = linted(capsys, "--verify-images", "--no-cache")
        assert code == 2
        assert report["summary"]["errors"] == 1
        assert "m/signed.yaml:7:14: error: the image" in errors
        assert "cannot be reached" in errors
        write_policy(tmp_path, registry, "      onUnreachable: warn\n")
        code, report, _ = linted(capsys, "--verify-images", "--no-cache")
        assert (code, [each["severity"] for each in report["findings"]]) == (0, ["warning"])
    finally:
        registry.start()


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("{}", "has no section images"),
        (
            "{images: [{match: ['**'], authorities: {key: {data: '-----BEGIN PUBLIC KEY-----\\n-----END PUBLIC KEY-----'}}}]}",
            "",
        ),
    ],
)
def test_it_never_ends_with_0_by_accident(
    tmp_path: Path,
    images: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    spec: str,
    expected: str,
) -> None:
    (tmp_path / "tidewaiter.yaml").write_text(
        f"apiVersion: tidewaiter.dev/v1\nkind: Policy\nmetadata: {{name: shop}}\nspec: {spec}\n"
    )
    write_pods(tmp_path / "m", {"signed": images["signed"]})
    assert main(["lint", "m", "--verify-images", "--only", "image-signature"]) == 2
    assert expected in capsys.readouterr().err


def test_verify_asks_what_the_policy_asks(
    tmp_path: Path,
    registry: Registry,
    images: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_policy(tmp_path, registry)
    assert main(["verify", images["signed"]]) == 0
    assert "1 verified" in capsys.readouterr().out
    assert main(["verify", images["signed"], images["unsigned"]]) == 1
    assert "is not signed as the policy asks (shop)" in capsys.readouterr().out
    assert main(["verify", "elsewhere.example/app:1"]) == 2
    assert "no entry of the policy's images is for it" in capsys.readouterr().out
    assert main(["verify", f"{registry.host}/shop/absent:1"]) == 2
    assert main(["verify", images["signed"], "--policy", "tidewaiter.yaml", "--key", "x"]) == 2
    assert main(["verify", images["signed"], "--policy", "absent.yaml"]) == 2


@pytest.mark.parametrize(
    "options",
    [
        ("--identity", "", "--issuer", ""),
        ("--key", ""),
        ("--policy", ""),
        ("--certificate-chain", ""),
        ("--trusted-root", ""),
        ("--signature-repository", ""),
        ("--attestation", ""),
    ],
    ids=lambda options: options[0],
)
def test_an_option_whose_value_is_empty_does_not_leave_it_to_the_policy(
    tmp_path: Path,
    registry: Registry,
    images: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
) -> None:
    """`--identity "$IDENTITY"` where the variable is not set: the image is signed, by whom the policy says."""
    write_policy(tmp_path, registry)
    assert main(["verify", images["signed"], *options]) == 2
    captured = capsys.readouterr()
    assert captured.err == f"tidewaiter: {options[0]} is empty\n"
    assert not captured.out


def test_what_is_no_trust_root_is_said_in_short(
    tmp_path: Path, images: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "release.pub").write_text(KEY.public)
    options = ["--key", "release.pub", "--trusted-root", "release.pub"]
    assert main(["verify", images["signed"], *options]) == 2
    assert capsys.readouterr().err.startswith(
        "tidewaiter: release.pub: the trust root cannot be used: it is no JSON"
    )


@pytest.mark.parametrize("held", ["", " \n"])
def test_an_empty_trust_root_does_not_stand_for_the_public_one(
    tmp_path: Path, images: dict[str, str], capsys: pytest.CaptureFixture[str], held: str
) -> None:
    """As `cosign trusted-root create > FILE` leaves it where it fails."""
    (tmp_path / "root.json").write_text(held)
    options = ["--trusted-root", "root.json", "--identity", "a", "--issuer", "b"]
    assert main(["verify", images["signed"], *options]) == 2
    assert capsys.readouterr().err == "tidewaiter: root.json: is empty\n"
    (tmp_path / "tidewaiter.yaml").write_text(
        "apiVersion: tidewaiter.dev/v1\nkind: Policy\nmetadata: {name: shop}\nspec:\n  images:\n"
        "    - match: ['**']\n      authorities: {keyless: {issuer: a, subject: b}, "
        "trustedRoot: {file: root.json}}\n"
    )
    assert main(["verify", images["signed"]]) == 2
    assert "root.json" in capsys.readouterr().err
