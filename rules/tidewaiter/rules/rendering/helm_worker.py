"""A process of its own that renders charts with Helm's engine: charts are untrusted, and may ask for anything.

Reads a request as JSON from standard input and writes the answer to standard output; see `engines`. Nothing is asked of
a network: the engine's functions for DNS and for a cluster answer with nothing.
https://helm.sh/docs/chart_template_guide/
"""

from __future__ import annotations

import json
import sys
from typing import Any


def main() -> int:
    """Render what the request asks for."""
    request = json.load(sys.stdin)
    json.dump(_answer(request), sys.stdout)
    return 0


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    import helm_python

    try:
        values = _values(request)
        plain, *marked = request["folders"]
        texts = [_rendered(plain, values, request)]
    except helm_python.HelmError as error:
        return {"error": str(error)}
    for folder in marked:
        try:
            texts.append(_rendered(folder, values, request))
        except helm_python.HelmError:
            texts.append({})  # a template asks what a text is that has marks now
    return {"texts": texts}


def _rendered(folder: str, values: dict[str, Any], request: dict[str, Any]) -> dict[str, str]:
    import helm_python
    from helm_python import _native

    with helm_python.Chart.load(folder) as chart:
        # The public `render` has no way to name a Kubernetes version; the engine below it has.
        options = {
            "name": request["release"],
            "namespace": request["namespace"],
            "kube_version": request["kubeVersion"],
            "api_versions": request["apiVersions"],
        }
        found: dict[str, str] = json.loads(
            _native.call_string(
                "helm_render",
                chart._raw(),  # noqa: SLF001
                json.dumps(values),
                json.dumps(options),
            )
        )
    return found


def _values(request: dict[str, Any]) -> dict[str, Any]:
    """Lay the values over each other as Helm does: files in order, then single settings."""
    import helm_python

    values: dict[str, Any] = {}
    for text in request["values"]:
        values = _merged(values, helm_python.values_from_yaml(text))
    for setting in request["settings"]:
        values = _merged(values, helm_python.parse_set_string(setting))
    return values


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    result = dict(below)
    for key, value in above.items():
        under = result.get(key)
        both = isinstance(value, dict) and isinstance(under, dict)
        result[key] = _merged(under, value) if both else value  # type: ignore[arg-type]
    return result


if __name__ == "__main__":
    sys.exit(main())
