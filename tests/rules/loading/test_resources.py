"""Objects are found in a file, and what is none is passed over or reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidewaiter.rules.loading.resources import read_resources

CORPUS = Path(__file__).parents[4] / "shared" / "corpus"
POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n"

NO_MANIFESTS = {
    "values file": "image: {repository: a, tag: b}\nreplicas: 1\n",
    "workflow": "name: CI\non: [push]\njobs: {test: {runs-on: x, steps: []}}\n",
    "compose file": "version: '3'\nservices: {web: {image: x}}\n",
    "chart": "apiVersion: v2\nname: x\nversion: 0.1.0\n",
    "kustomization": "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [a.yaml]\n",
    "kustomization without a header": "resources: [a.yaml]\n",
    "kubeconfig": "apiVersion: v1\nkind: Config\nclusters: []\n",
    "policy": "apiVersion: tidewaiter.dev/v1\nkind: Policy\nspec: {}\n",
    "kubelet configuration": "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n",
    "other pipeline": "kind: pipeline\ntype: docker\nname: default\n",
    "list": "- a\n- b\n",
    "scalar": "hello\n",
    "empty": "",
    "comments": "# nothing\n",
    "numbers": "apiVersion: 1\nkind: 2\n",
    "package.json": '{"name": "x", "version": "1.0.0"}',
}


@pytest.mark.parametrize("text", NO_MANIFESTS.values(), ids=NO_MANIFESTS.keys())
def test_what_is_no_manifest_is_skipped_in_a_folder_and_reported_when_named(text: str) -> None:
    content = read_resources(text.encode(), "f.yaml")
    assert (content.resources, content.errors) == ((), ())
    assert content.skipped
    named = read_resources(text.encode(), "f.yaml", explicit=True)
    assert [error.file for error in named.errors] == ["f.yaml"]


TEMPLATES = [
    "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {{ .Release.Name }}\n",
    "{{- if .Values.x }}\n" + POD + "{{- end }}\n",
    'apiVersion: v1\nkind: Pod\nmetadata:\n  name: "{{ name }}-x"\n',
    POD + "---\n{% for a in b %}\n{% endfor %}\n",
]


@pytest.mark.parametrize("text", TEMPLATES)
def test_a_template_is_skipped_in_a_folder_and_reported_when_named(text: str) -> None:
    content = read_resources(text.encode(), "f.yaml")
    assert (content.resources, content.errors, content.skipped) == ((), (), "a template")
    named = read_resources(text.encode(), "f.yaml", explicit=True)
    assert "template" in named.errors[0].message
    assert named.errors[0].line


def test_braces_in_the_text_of_an_object_make_no_template() -> None:
    text = POD + "spec: {containers: [{name: a, args: ['{{inputs.parameters.x}}']}]}\n"
    assert len(read_resources(text.encode(), "f.yaml").resources) == 1


def test_lists_are_taken_apart_with_the_place_of_each_item() -> None:
    text = (
        "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: a}}\n"
        "- apiVersion: v1\n  kind: List\n  items:\n  - {apiVersion: apps/v1, kind: Deployment}\n"
        "- apiVersion: v1\n  kind: ConfigMapList\n  items:\n  - metadata: {name: c}\n"
    )
    content = read_resources(text.encode(), "f.yaml")
    assert content.errors == ()
    assert [(each.kind_id, each.name, each.prefix) for each in content.resources] == [
        ("Pod", "a", "/items/0"),
        ("Deployment.apps", "", "/items/1/items/0"),
        ("ConfigMap", "c", "/items/2/items/0"),
    ]


def test_an_empty_list_is_a_manifest_without_objects() -> None:
    content = read_resources(b"apiVersion: v1\nkind: List\nitems: []\n", "f.yaml", explicit=True)
    assert (content.resources, content.errors, content.skipped) == ((), (), "")


def test_an_item_that_is_no_object_is_reported_with_its_place() -> None:
    text = f"apiVersion: v1\nkind: List\nitems:\n- 1\n- {{apiVersion: v1, kind: Pod}}\n"  # noqa: F541
    content = read_resources(text.encode(), "f.yaml")
    assert len(content.resources) == 1
    assert [(error.line, error.pointer) for error in content.errors] == [(4, "/items/0")]


def test_a_kind_that_ends_in_list_without_items_is_one_object() -> None:
    text = "apiVersion: example.com/v1\nkind: AllowList\nmetadata: {name: a}\nspec: {}\n"
    (resource,) = read_resources(text.encode(), "f.yaml").resources
    assert resource.kind == "AllowList"


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("kind: Pod\nmetadata: {name: a}\n", "apiVersion"),
        ("apiVersion: v1\nmetadata: {name: a}\n", "kind"),
    ],
)
def test_an_object_that_lacks_half_of_its_type_is_reported(text: str, missing: str) -> None:
    (error,) = read_resources(text.encode(), "f.yaml").errors
    assert missing in error.message
    assert error.line == 1


def test_documents_keep_their_number_and_the_broken_ones_their_error() -> None:
    text = POD + "---\nkind: [\n---\n" + POD
    content = read_resources(text.encode(), "f.yaml")
    assert [each.document for each in content.resources] == [0, 2]
    assert [each.file for each in content.resources] == ["f.yaml", "f.yaml"]
    assert len(content.errors) == 1


def test_repeated_keys_go_to_the_object_that_holds_them() -> None:
    text = (
        "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod}\n"
        "- {apiVersion: v1, kind: Pod, x: 1, x: 2}\n"
    )
    first, second = read_resources(text.encode(), "f.yaml").resources
    assert first.duplicates == ()
    assert [each.pointer for each in second.duplicates] == ["/items/1/x"]


def test_ignore_comments_go_to_the_objects_of_their_document() -> None:
    text = POD + "---\n" + POD + "spec: {} # tidewaiter: ignore[r] why\n"
    first, second = read_resources(text.encode(), "f.yaml").resources
    assert first.ignores == ()
    assert [each.rules for each in second.ignores] == [("r",)]
    assert second.ignores[0].covers("/spec")


def test_the_whole_corpus_is_read_without_an_error_in_real_manifests() -> None:
    if not CORPUS.is_dir():
        pytest.skip("the corpus of public manifests is not beside this project")
    count = 0
    for folder in ("kube-prometheus", "pod-security"):
        for path in sorted((CORPUS / folder).rglob("*.yaml")):
            content = read_resources(path.read_bytes(), str(path), explicit=True)
            assert content.errors == (), path
            count += len(content.resources)
    assert count > 500
