"""`tidewaiter lsp`, as a language client meets it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from lsprotocol import types
from pygls.lsp.client import LanguageClient

from tests.cli.editor.client import editor, run
from tidewaiter.cli.main import main

pytestmark = pytest.mark.slow

POD = """\
apiVersion: v1
kind: Pod
metadata: {name: api, namespace: shop}
spec:
  containers:
    - name: api  # the only one
      image: registry.example.com/api:1
      securityContext:
        allowPrivilegeEscalation: true
"""
SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: api, namespace: shop}
spec:
  selector: {app: api}
  ports: [{port: 80, targetPort: http}]
"""
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: api, namespace: shop}
spec:
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api}}
    spec:
      containers:
        - name: api
          image: registry.example.com/api:1
          ports: [{name: PORT, containerPort: 80}]
"""
POLICY = """\
apiVersion: tidewaiter.dev/v1
kind: Policy
metadata: {name: default}
spec:
  rules:
    no-privilege-escalation: {severity: warning}
    image-digest: {enabled: false}
"""
ESCALATION = "no-privilege-escalation"


def by_rule(found: list[types.Diagnostic]) -> dict[str, types.Diagnostic]:
    return {str(each.code): each for each in found}


def applied(text: str, edits: list[types.TextEdit]) -> str:
    lines = text.splitlines(keepends=True)
    for edit in sorted(edits, key=lambda each: each.range.start.line, reverse=True):
        assert edit.range.start.character == edit.range.end.character == 0
        lines[edit.range.start.line : edit.range.end.line] = [edit.new_text]
    return "".join(lines)


def edits_of(action: types.CodeAction) -> list[types.TextEdit]:
    assert action.edit is not None
    assert action.edit.changes is not None
    (edits,) = action.edit.changes.values()
    return list(edits)


def test_what_is_typed_is_judged_and_not_what_is_saved(tmp_path: Path) -> None:
    async def session() -> None:
        (tmp_path / "pod.yaml").write_text(POD)
        async with editor(tmp_path) as one:
            found = by_rule(await one.open("pod.yaml"))
            escalation = found[ESCALATION]
            assert escalation.range == types.Range(types.Position(8, 34), types.Position(8, 38))
            assert escalation.severity == types.DiagnosticSeverity.Error
            assert escalation.source == "tidewaiter"
            assert "api" in escalation.message
            assert escalation.code_description is not None
            assert escalation.code_description.href.startswith("https://")
            found = by_rule(await one.change("pod.yaml", POD.replace("true", "false")))
            assert ESCALATION not in found
            assert "image-digest" in found
            one.client.text_document_did_close(
                types.DidCloseTextDocumentParams(one.document("pod.yaml"))
            )
            await one.until(lambda: not one.diagnostics[one.uri("pod.yaml")].diagnostics)

    run(session())


def test_other_objects_of_the_folder_answer_whether_open_or_not(tmp_path: Path) -> None:
    async def session() -> None:
        (tmp_path / "service.yaml").write_text(SERVICE)
        (tmp_path / "deployment.yaml").write_text(DEPLOYMENT.replace("PORT", "web"))
        async with editor(tmp_path) as one:
            assert "service-target-port" in by_rule(await one.open("service.yaml"))
            await one.open("deployment.yaml")
            await one.change("deployment.yaml", DEPLOYMENT.replace("PORT", "http"))
            uri = one.uri("service.yaml")
            await one.until(
                lambda: "service-target-port" not in by_rule(list(one.diagnostics[uri].diagnostics))
            )
            # On the disk it is another name, which counts again once the document is closed.
            one.client.text_document_did_close(
                types.DidCloseTextDocumentParams(one.document("deployment.yaml"))
            )
            await one.until(
                lambda: "service-target-port" in by_rule(list(one.diagnostics[uri].diagnostics))
            )
            (tmp_path / "deployment.yaml").write_text(DEPLOYMENT.replace("PORT", "http"))
            assert one.watching
            event = types.FileEvent(one.uri("deployment.yaml"), types.FileChangeType.Changed)
            one.client.workspace_did_change_watched_files(
                types.DidChangeWatchedFilesParams([event])
            )
            await one.until(
                lambda: "service-target-port" not in by_rule(list(one.diagnostics[uri].diagnostics))
            )

    run(session())


def test_the_findings_are_those_of_lint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(__file__).parents[3] / "deploy" / "examples" / "payments-broken"
    monkeypatch.chdir(root)
    main(["lint", "--quiet", "--no-cache"])
    lines = capsys.readouterr().out.splitlines()
    expected = sorted(
        (line.split(":")[0], int(line.split(":")[1]), line.rpartition("[")[2].rstrip("]"))
        for line in lines
        if line.endswith("]")
    )

    async def session() -> None:
        async with editor(root) as one:
            seen = []
            for path in sorted(root.glob("*.yaml")):
                await one.open(path.name)
            for path in sorted(root.glob("*.yaml")):
                seen += [
                    (path.name, each.range.start.line + 1, str(each.code))
                    for each in one.diagnostics[one.uri(path.name)].diagnostics
                ]
            assert sorted(seen) == expected

    assert expected
    run(session())


@pytest.mark.parametrize(
    "encodings",
    [
        None,
        [types.PositionEncodingKind.Utf8],
        [types.PositionEncodingKind.Utf32],
    ],
)
def test_columns_are_counted_as_agreed(
    tmp_path: Path, encodings: list[types.PositionEncodingKind] | None
) -> None:
    text = (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: api, namespace: shop}\n"
        'spec: {containers: [{name: api, image: "x:1", securityContext: {\n'
        '"é": "😀é\u2028😀", "privileged": true}}]}\n'
    )

    async def session() -> None:
        async with editor(tmp_path, encodings=encodings) as one:
            found = by_rule(await one.open("pod.yaml", text))
            line = text.split("\n")[4]
            head = line[: line.index("true")]
            encoding = encodings[0] if encodings else types.PositionEncodingKind.Utf16
            width = {
                types.PositionEncodingKind.Utf8: len(head.encode()),
                types.PositionEncodingKind.Utf16: len(head.encode("utf-16-le")) // 2,
                types.PositionEncodingKind.Utf32: len(head),
            }[encoding]
            assert found["no-privileged"].range.start == types.Position(4, width)
            assert found["no-privileged"].range.end == types.Position(4, width + 4)

    run(session())


def test_a_quick_fix_mends_what_is_in_the_editor(tmp_path: Path) -> None:
    async def session() -> None:
        async with editor(tmp_path) as one:
            text = f"# typed and not saved\n{POD}"
            found = by_rule(await one.open("pod.yaml", text))
            actions = await one.actions("pod.yaml", found[ESCALATION].range)
            fix = next(each for each in actions if each.title == f"Fix {ESCALATION}")
            assert fix.kind == types.CodeActionKind.QuickFix
            assert fix.is_preferred
            assert [each.code for each in fix.diagnostics or ()] == [ESCALATION]
            mended = applied(text, edits_of(fix))
            assert mended == text.replace("true", "false")
            assert ESCALATION not in by_rule(await one.change("pod.yaml", mended))

    run(session())


def test_fix_all_makes_every_safe_fix_at_once(tmp_path: Path) -> None:
    async def session() -> None:
        async with editor(tmp_path) as one:
            found = await one.open("pod.yaml", POD)
            everything = types.Range(types.Position(0, 0), types.Position(9, 0))
            (action,) = await one.actions(
                "pod.yaml", everything, [types.CodeActionKind.SourceFixAll]
            )
            assert action.kind == "source.fixAll.tidewaiter"
            mended = applied(POD, edits_of(action))
            left = by_rule(await one.change("pod.yaml", mended))
            assert {ESCALATION, "drop-all-capabilities"} <= set(by_rule(found))
            assert not {ESCALATION, "drop-all-capabilities"} & set(left)
            assert "# the only one" in mended
            # Nothing is left for a second time.
            assert await one.actions("pod.yaml", everything, ["source.fixAll.tidewaiter"]) == []

    run(session())


def test_ignoring_a_finding_writes_a_comment_that_silences_it(tmp_path: Path) -> None:
    async def session() -> None:
        async with editor(tmp_path) as one:
            found = by_rule(await one.open("pod.yaml", POD))
            for rule in (ESCALATION, "image-digest"):
                text = POD
                actions = await one.actions("pod.yaml", found[rule].range)
                ignore = next(each for each in actions if each.title == f"Ignore {rule} here")
                text = applied(POD, edits_of(ignore))
                assert f"# tidewaiter: ignore[{rule}] say why" in text
                assert rule not in by_rule(await one.change("pod.yaml", text))
                await one.change("pod.yaml", POD)

    run(session())


def test_nothing_is_ignored_in_json_where_no_comment_can_stand(tmp_path: Path) -> None:
    text = '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "b"},\n'
    text += '"spec": {"containers": [{"name": "a", "image": "x:1"}]}}\n'

    async def session() -> None:
        async with editor(tmp_path) as one:
            found = await one.open("pod.json", text)
            for each in found:
                actions = await one.actions("pod.json", each.range)
                assert [one for one in actions if one.title.startswith("Ignore")] == []

    run(session())


def test_hovering_explains_the_finding(tmp_path: Path) -> None:
    async def session() -> None:
        async with editor(tmp_path) as one:
            found = by_rule(await one.open("pod.yaml", POD))
            start = found[ESCALATION].range.start
            text = await one.hover("pod.yaml", start.line, start.character)
            assert f"**{ESCALATION}**" in text
            assert "Remedy:" in text
            assert "- <https://" in text
            assert await one.hover("pod.yaml", 1, 0) == ""

    run(session())


def test_hovering_explains_what_is_about_the_very_place_first(tmp_path: Path) -> None:
    flow = (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n"
        "spec: {containers: [{name: a, image: 'a:1', securityContext: {privileged: true}}]}\n"
    )

    async def session() -> None:
        async with editor(tmp_path) as one:
            found = by_rule(await one.open("pod.yaml", flow))
            start = found["no-privileged"].range.start
            assert start > found["resource-limits"].range.start
            text = await one.hover("pod.yaml", start.line, start.character)
            assert text.index("**no-privileged**") < text.index("**resource-limits**")

    run(session())


def test_hovering_names_a_rule_of_the_policys_own(tmp_path: Path) -> None:
    own = "{name: no-pods, expression: \"object.kind != 'Pod'\", message: a pod}"
    (tmp_path / "tidewaiter.yaml").write_text(
        f"apiVersion: tidewaiter.dev/v1\nkind: Policy\nmetadata: {{name: own}}\nspec: {{customRules: [{own}]}}\n"
    )

    async def session() -> None:
        async with editor(tmp_path) as one:
            start = by_rule(await one.open("pod.yaml", POD))["no-pods"].range.start
            text = await one.hover("pod.yaml", start.line, start.character)
            assert "**no-pods**: a rule of the policy's own" in text

    run(session())


def test_a_large_document_is_mended_whole_only_on_demand(tmp_path: Path) -> None:
    text = f"{POD}# {'x' * 60_000}\n"

    async def session() -> None:
        async with editor(tmp_path) as one:
            area = by_rule(await one.open("pod.yaml", text))[ESCALATION].range
            kinds = {each.kind for each in await one.actions("pod.yaml", area)}
            assert kinds == {types.CodeActionKind.QuickFix}
            (whole,) = await one.actions("pod.yaml", area, only=["source.fixAll"])
            assert whole.kind == "source.fixAll.tidewaiter"

    run(session())


def test_hovering_over_a_rule_name_explains_the_rule(tmp_path: Path) -> None:
    comment = "      # tidewaiter: ignore[image-digest] built here\n"
    pod = POD.replace("      image:", f"{comment}      image:")

    async def session() -> None:
        (tmp_path / "tidewaiter.yaml").write_text(POLICY)
        async with editor(tmp_path) as one:
            await one.open("tidewaiter.yaml")
            await one.open("pod.yaml", pod)
            line = POLICY.split("\n").index("    image-digest: {enabled: false}")
            assert "**image-digest**" in await one.hover("tidewaiter.yaml", line, 8)
            line = pod.split("\n").index(comment.rstrip("\n"))
            at = comment.index("image-digest")
            assert "**image-digest**" in await one.hover("pod.yaml", line, at + 3)
            assert await one.hover("pod.yaml", line, 3) == ""

    run(session())


def test_the_policy_holds_as_it_is_typed_and_its_mistakes_are_shown(tmp_path: Path) -> None:
    async def session() -> None:
        (tmp_path / "tidewaiter.yaml").write_text(POLICY)
        async with editor(tmp_path) as one:
            found = by_rule(await one.open("pod.yaml", POD))
            assert found[ESCALATION].severity == types.DiagnosticSeverity.Warning
            assert "image-digest" not in found
            assert await one.open("tidewaiter.yaml") == []
            wrong = POLICY.replace("no-privilege-escalation", "no-privilege-escalatio")
            wrong = wrong.replace("enabled: false", "enabled: 3")
            mistakes = await one.change("tidewaiter.yaml", wrong)
            assert [each.range.start.line for each in mistakes] == [5, 6]
            assert "did you mean" in mistakes[0].message
            # The last policy without mistakes holds meanwhile.
            assert "image-digest" not in by_rule(await one.found("pod.yaml"))
            await one.change("tidewaiter.yaml", POLICY.replace("enabled: false", "enabled: true"))
            uri = one.uri("pod.yaml")
            await one.until(
                lambda: "image-digest" in by_rule(list(one.diagnostics[uri].diagnostics))
            )

    run(session())


def test_mistakes_of_a_policy_that_is_not_open_are_shown_too(tmp_path: Path) -> None:
    async def session() -> None:
        (tmp_path / "tidewaiter.yaml").write_text(POLICY.replace("spec:", "spek:"))
        async with editor(tmp_path) as one:
            await one.open("pod.yaml", POD)
            policy = one.uri("tidewaiter.yaml")
            await one.until(lambda: policy in one.diagnostics)
            assert one.diagnostics[policy].diagnostics

    run(session())


def test_broken_yaml_is_shown_where_it_breaks(tmp_path: Path) -> None:
    async def session() -> None:
        async with editor(tmp_path) as one:
            (error,) = await one.open("pod.yaml", "a: 1\nb: [\n")
            assert error.severity == types.DiagnosticSeverity.Error
            assert error.range.start.line >= 1
            assert by_rule(await one.change("pod.yaml", POD))[ESCALATION]

    run(session())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\ufeff" + POD,
        "\x00\x01",
        "[" * 100_000,
        "a: &a [x, x]\n" + "".join(f"b{n}: &b{n} [*a, *a, *a]\n" for n in range(50)),
        "\ud800: 1",
        "- - - -\r\r\n\x85\u2028: |\n",
        "kind: Pod\napiVersion: v1\nspec: 3\nmetadata: [1]\n",
        "%YAML 9.9\n---\n!!python/object:os.system {}\n",
        "{{ if .Values.x }}\nkind: Pod\n{{ end }}\n",
    ],
    ids=range(10),
)
def test_no_document_ends_the_session(tmp_path: Path, text: str) -> None:
    async def session() -> None:
        async with editor(tmp_path) as one:
            await one.open("odd.yaml", text)
            everything = types.Range(types.Position(0, 0), types.Position(10**6, 10**6))
            await one.actions("odd.yaml", everything)
            await one.hover("odd.yaml", 10**6, 10**6)
            await one.hover("odd.yaml", 0, 0)
            assert ESCALATION in by_rule(await one.open("pod.yaml", POD))

    run(session())


def test_many_changes_in_a_row_are_judged_once_for_all(tmp_path: Path) -> None:
    async def session() -> None:
        async with editor(tmp_path) as one:
            await one.open("pod.yaml", POD)
            for number in range(200):
                one.type("pod.yaml", f"{POD}# {number}\n")
            found = await one.change("pod.yaml", POD.replace("true", "false"))
            assert ESCALATION not in by_rule(found)

    run(session())


def test_a_request_can_be_cancelled(tmp_path: Path) -> None:
    async def session() -> None:
        async with editor(tmp_path) as one:
            await one.open("pod.yaml", POD)
            one.type("pod.yaml", f"{POD}# changed\n")
            everything = types.Range(types.Position(0, 0), types.Position(9, 0))
            task = asyncio.ensure_future(one.actions("pod.yaml", everything))
            await asyncio.sleep(0)
            for number in one.client.protocol._request_futures:
                one.client.cancel_request(types.CancelParams(number))
            task.cancel()
            assert await one.actions("pod.yaml", everything)

    run(session())


def test_a_document_outside_of_the_folder_is_judged_alone(tmp_path: Path) -> None:
    async def session() -> None:
        (tmp_path / "folder").mkdir()
        (tmp_path / "service.yaml").write_text(SERVICE)
        (tmp_path / "deployment.yaml").write_text(DEPLOYMENT.replace("PORT", "web"))
        async with editor(tmp_path / "folder") as one:
            one.folder = tmp_path
            assert "service-target-port" not in by_rule(await one.open("service.yaml"))
            assert "image-digest" in by_rule(await one.open("deployment.yaml"))

    run(session())


def test_findings_in_a_chart_lead_to_the_value_that_they_come_from(tmp_path: Path) -> None:
    template = POD.replace("registry.example.com/api:1", "{{ .Values.image }}")
    files = {
        "Chart.yaml": "apiVersion: v2\nname: api\nversion: 1.0.0\n",
        "values.yaml": "# settings\nimage: registry.example.com/api:1\n",
        "templates/pod.yaml": template,
    }

    async def session() -> None:
        for name, text in files.items():
            (tmp_path / "api" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "api" / name).write_text(text)
        async with editor(tmp_path) as one:
            name = "api/templates/pod.yaml"
            await one.open(name)
            uri = one.uri(name)
            await one.until(lambda: bool(one.diagnostics[uri].diagnostics))
            digest = by_rule(list(one.diagnostics[uri].diagnostics))["image-digest"]
            assert digest.range.start.line == 6
            (related,) = digest.related_information or ()
            assert related.location.uri == one.uri("api/values.yaml")
            assert related.location.range.start.line == 1
            assert "**image-digest**" in await one.hover(name, 6, digest.range.start.character)
            # Saved with a mended value, it is found no more.
            (tmp_path / "api" / "values.yaml").write_text(
                f"image: registry.example.com/api@sha256:{'0' * 64}\n"
            )
            one.client.text_document_did_save(types.DidSaveTextDocumentParams(one.document(name)))
            await one.until(
                lambda: "image-digest" not in by_rule(list(one.diagnostics[uri].diagnostics))
            )

    run(session())


OVERLAID = {
    "base/kustomization.yaml": "resources: [pod.yaml]\n",
    "base/pod.yaml": POD,
    "prod/kustomization.yaml": (
        "resources: [../base]\nimages: [{name: registry.example.com/api, digest: 'sha256:"
        + "0" * 64
        + "'}]\npatches: [{path: patch.yaml}]\n"
    ),
    "prod/patch.yaml": (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: api, namespace: shop}\nspec:\n  containers:\n"
        "    - name: api\n      imagePullPolicy: Never\n    - name: more\n      image: other:latest\n"
    ),
}


def put(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def test_a_resource_of_a_kustomization_is_judged_as_it_is_applied(tmp_path: Path) -> None:
    async def session() -> None:
        put(tmp_path, OVERLAID)
        async with editor(tmp_path) as one:
            name = "base/pod.yaml"
            uri = one.uri(name)
            await one.open(name)
            await one.until(lambda: bool(one.diagnostics[uri].diagnostics))
            found = by_rule(list(one.diagnostics[uri].diagnostics))
            assert "image-digest" not in found  # the overlay sets it
            assert "run-as-non-root" in found
            # What is made good there stays so while the document changes, and what is new is said.
            typed = POD.replace("true", "true\n        privileged: true")
            found = by_rule(await one.change(name, typed))
            assert "image-digest" not in found
            assert "no-privileged" in found
            assert await one.actions(name, found["run-as-non-root"].range)

    run(session())


def test_patches_and_values_are_no_manifests(tmp_path: Path) -> None:
    chart = {
        "chart/Chart.yaml": "apiVersion: v2\nname: api\nversion: 1.0.0\n",
        "chart/values.yaml": "apiVersion: v1\nkind: Pod\nspec: {hostNetwork: true}\n",
        "chart/templates/pod.yaml": POD,
    }

    async def session() -> None:
        put(tmp_path, {**OVERLAID, **chart})
        async with editor(tmp_path) as one:
            patch, values, template = (
                "prod/patch.yaml",
                "chart/values.yaml",
                "chart/templates/pod.yaml",
            )
            for name in (patch, values, template):
                await one.open(name)
            await one.until(lambda: bool(one.diagnostics[one.uri(template)].diagnostics))
            found = list(one.diagnostics[one.uri(template)].diagnostics)
            assert len(found) == len({(each.code, str(each.range)) for each in found})
            found = list(one.diagnostics[one.uri(patch)].diagnostics)
            assert {each.range.start.line for each in found if each.code == "no-latest-tag"} == {8}
            assert "run-as-non-root" not in {
                each.code for each in found if each.range.start.line < 7
            }
            assert not one.diagnostics[one.uri(values)].diagnostics

    run(session())


def test_a_template_that_cannot_be_rendered_is_shown_where_it_breaks(tmp_path: Path) -> None:
    chart = {
        "chart/Chart.yaml": "apiVersion: v2\nname: api\nversion: 1.0.0\n",
        "chart/templates/pod.yaml": 'a: 1\nb: {{ required "name it" .Values.b }}\n',
    }

    async def session() -> None:
        put(tmp_path, chart)
        async with editor(tmp_path) as one:
            name = "chart/templates/pod.yaml"
            await one.open(name)
            await one.until(lambda: bool(one.diagnostics[one.uri(name)].diagnostics))
            (found,) = one.diagnostics[one.uri(name)].diagnostics
            assert "name it" in found.message
            assert found.range.start.line == 1

    run(session())


def test_a_kustomization_that_cannot_be_built_leaves_its_resources_as_they_stand(
    tmp_path: Path,
) -> None:
    async def session() -> None:
        put(tmp_path, {**OVERLAID, "prod/patch.yaml": "kind: Pod\n"})
        async with editor(tmp_path) as one:
            name = "base/pod.yaml"
            await one.open(name)
            await one.until(lambda: bool(one.diagnostics[one.uri(name)].diagnostics))
            assert "image-digest" in by_rule(list(one.diagnostics[one.uri(name)].diagnostics))

    run(session())


def test_a_document_with_very_many_findings_shows_the_gravest(tmp_path: Path) -> None:
    async def session() -> None:
        async with editor(tmp_path) as one:
            text = "---\n".join(POD.replace("name: api", f"name: api{n}", 1) for n in range(150))
            found = await one.open("pods.yaml", text)
            assert len(found) == 1000
            grave = by_rule(found)[ESCALATION]
            assert grave.severity == types.DiagnosticSeverity.Error
            await one.until(lambda: bool(one.log))
            assert "1000 gravest" in one.log[0]

    run(session())


def test_a_document_without_a_file_is_judged_too(tmp_path: Path) -> None:
    async def session() -> None:
        async with editor(tmp_path) as one:
            uri = "untitled:Untitled-1"
            item = types.TextDocumentItem(uri, "yaml", 1, POD)
            one.client.text_document_did_open(types.DidOpenTextDocumentParams(item))
            await one.until(lambda: uri in one.diagnostics)
            assert ESCALATION in by_rule(list(one.diagnostics[uri].diagnostics))
            for odd in ("untitled:x", "git:/a.yaml", "file://", ""):
                item = types.TextDocumentItem(odd, "python", 1, POD)
                one.client.text_document_did_open(types.DidOpenTextDocumentParams(item))
            assert await one.open("pod.yaml", POD)

    run(session())


def test_an_editor_may_come_over_tcp(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "tidewaiter.cli.main", "lsp", "--tcp", f"127.0.0.1:{port}"]

    async def session() -> None:
        client = LanguageClient("editor", "1")
        async with asyncio.timeout(30):
            while True:
                try:
                    await client.start_tcp("127.0.0.1", port)
                    break
                except OSError:
                    await asyncio.sleep(0.1)
            found = await client.initialize_async(
                types.InitializeParams(types.ClientCapabilities(), root_uri=tmp_path.as_uri())
            )
            assert found.capabilities.code_action_provider
            await client.shutdown_async(None)
            client.exit(None)
            await client.stop()  # type: ignore[no-untyped-call]

    server = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        run(session())
        _, errors = server.communicate(timeout=30)
        assert (server.returncode, errors) == (0, b"")
    finally:
        server.kill()


def test_the_end_of_the_process_that_judges_costs_one_answer(tmp_path: Path) -> None:
    async def session() -> None:
        async with editor(tmp_path) as one:
            await one.open("pod.yaml", POD)
            server = one.client._server
            assert server is not None
            children = Path(f"/proc/{server.pid}/task/{server.pid}/children")
            threads = children.parent.parent.glob("*/children")
            (worker,) = (pid for each in threads for pid in each.read_text().split())
            os.kill(int(worker), signal.SIGKILL)
            (error,) = await one.change("pod.yaml", f"{POD}# changed\n")
            assert error.message.startswith("was not checked")
            assert ESCALATION in by_rule(await one.change("pod.yaml", POD))

    if not Path("/proc/self/task").exists():
        pytest.skip("needs /proc")
    run(session())


def test_options_are_laid_over_the_policy(tmp_path: Path) -> None:
    async def session() -> None:
        async with editor(tmp_path, "--profile", "pss-baseline") as one:
            assert await one.open("pod.yaml", POD) == []

    run(session())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tcp", "8080"], "--tcp takes HOST:PORT"),
        (["--tcp", "127.0.0.1:x"], "--tcp takes HOST:PORT"),
        (["--stdio", "--tcp", "127.0.0.1:1"], "exclude each other"),
        (["--tcp", "192.0.2.1:1"], "cannot wait at 192.0.2.1:1"),
        (["--profile", "productoin"], "did you mean"),
        (["--policy", "absent.yaml"], "does not exist"),
    ],
)
def test_a_mistake_in_the_call_is_told_at_once(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lsp", *options]) == 2
    assert message in capsys.readouterr().err


def test_the_end_of_the_editor_ends_the_server(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tidewaiter.cli.main", "lsp"]
    ended = subprocess.run(command, input=b"", capture_output=True, timeout=30, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, b"", b"")
