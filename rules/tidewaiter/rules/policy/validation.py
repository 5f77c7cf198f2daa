"""From the bytes of a policy file to its plain form, with all of its mistakes at once."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, NoReturn

from pydantic import ValidationError

from tidewaiter.rules import catalogue
from tidewaiter.rules.errors import PolicyError
from tidewaiter.rules.loading.documents import load_documents
from tidewaiter.rules.loading.positions import Locator
from tidewaiter.rules.manifest.fields import escape, mapping, resolve, text
from tidewaiter.rules.manifest.resource import kind_id
from tidewaiter.rules.names import nearest_name
from tidewaiter.rules.policy import image_model, model
from tidewaiter.rules.policy.options import checked_version
from tidewaiter.rules.policy.own_rules import own_entries
from tidewaiter.rules.rule import PROFILES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

    from tidewaiter.rules.loading.positions import Positions
    from tidewaiter.rules.policy.admission_objects import Placed
    from tidewaiter.rules.policy.compiled import PlainPolicy
    from tidewaiter.rules.policy.image_section import SectionMistake
    from tidewaiter.rules.rule import Parameter

    Mistake = tuple[str, str]
    """JSON pointer and sentence."""


def validated(content: bytes, path: str, folders: Sequence[str] = ()) -> PlainPolicy:
    """Return the plain form of a policy file. Raises PolicyError with every mistake.

    folders: where there are admission policies beside those that the file names.
    """
    loaded = load_documents(content, path)
    if loaded.errors:
        _refuse(path, [(error.line, error.column, error.message) for error in loaded.errors])
    documents = [one for one in loaded.documents if one.value is not None]
    if len(documents) != 1:
        what = (
            "is empty"
            if not documents
            else f"has {len(documents)} documents where one is asked for"
        )
        _refuse(path, [(1, 1, f"the policy file {what}")])
    document = documents[0]
    positions = Locator(content).document(document.index)
    value = document.value
    placed: list[tuple[int | None, int | None, str]] = [
        (repeated.line, repeated.column, f"key {repeated.key!r} stands here again")
        for repeated in document.duplicates
    ]
    parsed: model.PolicyFile | None = None
    objects, elsewhere = _admission_objects(value, path, folders)
    if isinstance(value, dict):
        parsed, found = _parse(value)
        own = _own_names(value, objects)
        found += _of_names(value, own)
        found += _of_own_names(value, objects)
        if mapping(value.get("spec")).get("admissionPolicies") and not objects and not elsewhere:
            found.append(("/spec/admissionPolicies", "there is no ValidatingAdmissionPolicy there"))
    else:
        found = [("", "a policy is a mapping with apiVersion, kind, metadata and spec")]
    for pointer, message in found:
        span = positions.at(pointer)
        placed.append((span.line, span.column, message))
    if parsed is not None and parsed.spec.customRules:
        placed += _of_expressions(value, positions, content)
    images: list[dict[str, Any]] = []
    if parsed is not None and parsed.spec.images:
        images, wrong = _images(parsed, path)
        placed += _in_texts(wrong, value, positions, content)
    settings, wrong = _image_settings(parsed, path)
    placed += _in_texts(wrong, value, positions, content)
    if placed or parsed is None or elsewhere:
        _refuse(path, placed, elsewhere)
    plain = _plain(parsed, lambda pointer: positions.at(pointer).line)
    if images:
        plain["images"] = images
    if settings:
        plain["imageSettings"] = settings
    return {**plain, "admissionObjects": objects} if objects else plain


def validated_object(
    value: Mapping[str, Any], known: Iterable[str] = ()
) -> tuple[PlainPolicy | None, list[Mistake]]:
    """Return the plain form of a policy that is an object of a cluster, or None and every mistake in it.

    known: rules of other policies, which it may speak of.
    """
    stated = {
        "apiVersion": value.get("apiVersion"),
        "kind": "Policy",
        "metadata": value.get("metadata"),
        "spec": value.get("spec", {}),
    }
    parsed, found = _parse(stated)
    found += _of_names(stated, _own_names(stated, ()) | {*known})
    found += _of_own_names(stated, ())
    found += _of_files(stated["spec"], "/spec")
    if parsed is None or found:
        return None, _in_order(found)
    if parsed.spec.customRules:
        from tidewaiter.rules.policy.custom_rules import program_of

        for index, row in enumerate(stated["spec"]["customRules"]):
            pointer = f"/spec/customRules/{index}"
            found += [(pointer + each.pointer, each.message) for each in program_of(row)[1]]
    plain = _plain(parsed, lambda _: 0)
    if parsed.spec.images:
        plain["images"], wrong = _images(parsed, "")
        found += [(each.pointer, each.message) for each in wrong]
    settings, wrong = _image_settings(parsed, "")
    found += [(each.pointer, each.message) for each in wrong]
    if settings:
        plain["imageSettings"] = settings
    return (None, _in_order(found)) if found else (plain, [])


def _in_order(mistakes: Iterable[Mistake]) -> list[Mistake]:
    return sorted(set(mistakes))


def _of_files(value: object, pointer: str) -> Iterator[Mistake]:
    """Yield where an object names files, which there are none of beside it."""
    spec = mapping(value)
    if "admissionPolicies" in spec:
        yield f"{pointer}/admissionPolicies", "an object of a cluster has no files beside it"
    images = spec.get("images")
    yield from _of_materials(images if isinstance(images, list) else [], f"{pointer}/images")
    authorities = mapping(spec.get("imageSettings")).get("registryAuthorities")
    yield from _of_materials(authorities, f"{pointer}/imageSettings/registryAuthorities")


def _of_materials(value: object, pointer: str) -> Iterator[Mistake]:
    if isinstance(value, dict):
        if "file" in value:
            yield f"{pointer}/file", "an object of a cluster has no files beside it; give data"
        for key, each in value.items():
            if key != "annotations":  # which may be called anything
                yield from _of_materials(each, f"{pointer}/{escape(str(key))}")
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _of_materials(each, f"{pointer}/{index}")


def _admission_objects(
    value: object, path: str, folders: Sequence[str]
) -> tuple[list[dict[str, Any]], list[Placed]]:
    """Return the objects of the files that a policy names, and what is wrong in them."""
    named = mapping(mapping(value).get("spec")).get("admissionPolicies")
    paths = [each for each in named if isinstance(each, str)] if isinstance(named, list) else []
    if not paths and not folders:
        return [], []
    from tidewaiter.rules.policy.admission_objects import mistakes_in, read_objects

    own, wrong = read_objects(paths, os.path.dirname(path))
    others, also_wrong = read_objects(folders, "")
    objects = [*own, *others]
    if not wrong and not also_wrong and not any(_is_policy(row["object"]) for row in objects):
        objects = []
    return objects, [*wrong, *also_wrong, *mistakes_in(objects)]


def _is_policy(value: dict[str, Any]) -> bool:
    return value.get("kind") == "ValidatingAdmissionPolicy"


def _own_names(value: dict[str, Any], objects: Sequence[dict[str, Any]]) -> set[str]:
    """Return the names of the rules that a policy brings itself."""
    rows = mapping(value.get("spec")).get("customRules")
    named = {text(mapping(row).get("name")) for row in (rows if isinstance(rows, list) else ())}
    return named | set(own_entries({"admissionObjects": list(objects)}))


def _of_own_names(value: dict[str, Any], objects: Sequence[dict[str, Any]]) -> Iterator[Mistake]:
    """Yield the custom rules whose name is taken."""
    rows = mapping(value.get("spec")).get("customRules")
    taken = {*catalogue.entries(), *own_entries({"admissionObjects": list(objects)})}
    for index, row in enumerate(rows if isinstance(rows, list) else ()):
        name = text(mapping(row).get("name"))
        if name and name in taken:
            yield f"/spec/customRules/{index}/name", f"there is another rule {name}"
        taken.add(name)


def _of_expressions(
    value: dict[str, Any], positions: Positions, content: bytes
) -> Iterator[tuple[int | None, int | None, str]]:
    """Yield what is wrong in the expressions of custom rules, each at its place in the file."""
    from tidewaiter.rules.policy.admission_objects import place_of
    from tidewaiter.rules.policy.custom_rules import program_of

    lines = Locator(content).source_lines()
    for index, row in enumerate(value["spec"]["customRules"]):
        for mistake in program_of(row)[1]:
            pointer = f"/spec/customRules/{index}{mistake.pointer}"
            line, column = place_of(mistake, positions.at(pointer), resolve(value, pointer), lines)
            yield line, column, f"custom rule {row['name']}: {mistake.message}"


def _images(
    parsed: model.PolicyFile, path: str
) -> tuple[list[dict[str, Any]], list[SectionMistake]]:
    """Return the section `images` with what its files hold, and what is wrong with it."""
    from tidewaiter.rules.policy.image_section import read_section

    spec = parsed.spec.model_dump(mode="json", exclude_none=True, exclude_unset=True)
    return read_section(spec["images"], os.path.dirname(path))


def _image_settings(
    parsed: model.PolicyFile | None, path: str
) -> tuple[dict[str, Any], list[SectionMistake]]:
    """Return `imageSettings` with what its files hold, empty where it names none, and what is wrong with it."""
    if parsed is None or parsed.spec.imageSettings is None:
        return {}, []
    settings = parsed.spec.imageSettings
    if not settings.registryAuthorities:
        return {}, []
    from tidewaiter.rules.policy.image_section import read_settings

    stated = settings.model_dump(mode="json", exclude_none=True, exclude_unset=True)
    return read_settings(stated, os.path.dirname(path))


def _in_texts(
    mistakes: Iterable[SectionMistake], value: object, positions: Positions, content: bytes
) -> Iterator[tuple[int | None, int | None, str]]:
    """Yield mistakes that may stand inside a text, each at its place in the file."""
    from tidewaiter.rules.policy.admission_objects import place_of

    lines = Locator(content).source_lines()
    for each in mistakes:
        span, stated = positions.at(each.pointer), resolve(value, each.pointer)
        yield *place_of(each, span, stated, lines), each.message


def _refuse(
    path: str,
    mistakes: Sequence[tuple[int | None, int | None, str]],
    elsewhere: Sequence[Placed] = (),
) -> NoReturn:
    """Raise one PolicyError that lists the mistakes in the order of the file, then those of others."""
    ordered = sorted(set(mistakes), key=lambda one: (one[0] or 0, one[1] or 0, one[2]))
    first, *others = [
        PolicyError(message, file=file, line=line, column=column)
        for file, line, column, message in [*((path, *one) for one in ordered), *elsewhere]
    ]
    message = "\n".join([first.message, *(str(other) for other in others)])
    error = PolicyError(message, file=first.file, line=first.line, column=first.column)
    error.mistakes = (first, *others)
    raise error


def _parse(value: dict[str, Any]) -> tuple[model.PolicyFile | None, list[Mistake]]:
    """Return the policy, or None and its mistakes of form: unknown and missing keys, wrong types."""
    try:
        return model.PolicyFile.model_validate(value), []
    except ValidationError as error:
        found = []
        for detail in error.errors(include_url=False):
            pointer, message = _mistake(detail)
            # One profile is read as a list of one, which is not what stands in the file.
            if pointer.endswith("/profile/0") and isinstance(resolve(value, pointer[:-2]), str):
                pointer = pointer[:-2]
            found.append((pointer, message))
        return None, found


def _mistake(detail: ErrorDetails) -> Mistake:
    place = list(detail["loc"])
    pointer = "".join(f"/{escape(str(part))}" for part in place)
    name = next((part for part in reversed(place) if isinstance(part, str)), "the policy")
    kind, stated = detail["type"], detail["input"]
    if kind == "extra_forbidden":
        return pointer, f"there is no key {name!r} here{_hint(name, _keys_at(place[:-1]))}"
    if kind == "missing":
        return pointer, f"{name} is missing"
    if kind == "literal_error":
        wanted = detail["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        return pointer, f"{name} is {_not_one_of(stated, wanted)}"
    if kind == "string_type":
        if name == "kubernetesVersion" and isinstance(stated, int | float):
            return pointer, f'{name} is a number; write it in quotes, as "1.30"'
        remedy = "; put it in quotes" if isinstance(stated, int | float) else ""
        return pointer, f"{name} is {_type(stated)} where a text is asked for{remedy}"
    if kind in _WANTED:
        shown = _shown(stated) if kind.startswith("date") else _type(stated)
        return pointer, f"{name} is {shown} where {_WANTED[kind]} is asked for"
    if kind in {"too_short", "string_too_short"}:
        return pointer, f"{name} is empty"
    if kind == "string_pattern_mismatch":
        wanted = f"which has not the form {detail['ctx']['pattern']}"
        return pointer, f"{name} is {_shown(stated)}, {_PATTERNS.get(name, wanted)}"
    if kind in {"one_of", "contradiction", "demand", "pattern", "count"}:
        return pointer, detail["msg"]
    if kind == "glob":
        return pointer, f"{_shown(stated)} is no glob: {detail['msg']}"
    return pointer, f"{name}: {detail['msg'][0].lower()}{detail['msg'][1:]}"


_WANTED = {
    "bool_type": "true or false",
    "date_from_datetime_parsing": "a date such as 2027-01-31",
    "date_parsing": "a date such as 2027-01-31",
    "date_type": "a date such as 2027-01-31",
    "dict_type": "a mapping",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_type": "a mapping",
}
"""What pydantic's error types ask for."""

_PATTERNS = {
    "apiVersion": "not a group and version such as example.com/v1",
    "paths": "not a JSON pointer such as /image/tag",
    "podSpec": "not a JSON pointer such as /spec/template/spec",
    "pointer": "not a JSON pointer such as /spec/replicas",
    "reason": "which tells nobody why",
}
"""What is wrong with a text that does not have the form of its key."""


def _keys_at(place: list[int | str]) -> Iterable[str]:
    """Return the keys that the model has at a place of the file."""
    current: Any = model.PolicyFile
    for part in place:
        if isinstance(part, int) or current is None:
            continue
        current = _MODELS.get((current, part), current if current in _MAPS else None)
    return list(current.model_fields) if current is not None else ()


_MODELS: dict[tuple[type[BaseModel], str], type[BaseModel]] = {
    (model.PolicyFile, "spec"): model.PolicySpec,
    (model.PolicyFile, "metadata"): model.Metadata,
    (model.PolicySpec, "rules"): model.RuleSettings,
    (model.PolicySpec, "overrides"): model.Override,
    (model.PolicySpec, "exemptions"): model.Exemption,
    (model.PolicySpec, "admission"): model.Admission,
    (model.Admission, "exempt"): model.AdmissionExempt,
    (model.PolicySpec, "workloads"): model.WorkloadKind,
    (model.PolicySpec, "pin"): model.Pin,
    (model.Pin, "values"): model.PinnedValues,
    (model.PolicySpec, "customRules"): model.CustomRule,
    (model.CustomRule, "match"): model.Match,
    (model.CustomRule, "variables"): model.NamedExpression,
    (model.CustomRule, "matchConditions"): model.NamedExpression,
    (model.PolicySpec, "images"): image_model.ImageEntry,
    (model.PolicySpec, "imageSettings"): image_model.ImageSettings,
    (image_model.ImageSettings, "pullSecrets"): image_model.PullSecret,
    (image_model.ImageSettings, "registryAuthorities"): image_model.RegistryAuthority,
    (image_model.ImageSettings, "mirrors"): image_model.Mirror,
    (image_model.ImageEntry, "authorities"): image_model.Authority,
    (image_model.ImageEntry, "attestations"): image_model.AttestationDemand,
    (image_model.AttestationDemand, "authorities"): image_model.Authority,
    (image_model.AttestationDemand, "conditions"): image_model.Condition,
    (image_model.Authority, "anyOf"): image_model.Authority,
    (image_model.Authority, "allOf"): image_model.Authority,
    (image_model.Authority, "atLeast"): image_model.AtLeast,
    (image_model.Authority, "key"): image_model.Key,
    (image_model.Authority, "certificate"): image_model.Certificate,
    (image_model.Authority, "keyless"): image_model.Keyless,
    (image_model.Authority, "timestamp"): image_model.Material,
    (image_model.Authority, "trustedRoot"): image_model.Material,
    (image_model.AtLeast, "of"): image_model.Authority,
    (image_model.Key, "secretRef"): image_model.SecretReference,
    (image_model.Certificate, "secretRef"): image_model.SecretReference,
    (image_model.Certificate, "intermediates"): image_model.Material,
    (image_model.Material, "secretRef"): image_model.SecretReference,
    (image_model.Keyless, "claims"): image_model.Claims,
    (image_model.Keyless, "claimsRegExp"): image_model.ClaimExpressions,
    (model.Override, "rules"): model.RuleSettings,
    (model.Override, "match"): model.Match,
    (model.Exemption, "match"): model.ExemptionMatch,
}
_MAPS = (model.RuleSettings,)
"""Models that stand below a key of the user's own, the name of a rule."""


def _hint(name: str, known: Iterable[str]) -> str:
    nearest = nearest_name(name, known)
    return f"; did you mean {nearest!r}?" if nearest else ""


def _not_one_of(stated: object, wanted: Sequence[str]) -> str:
    hint = _hint(stated, wanted) if isinstance(stated, str) else ""
    return f"{_shown(stated)}, not one of {', '.join(wanted)}{hint}"


def _shown(value: object) -> str:
    """Show a value as the file has it, cut where it is long; of a mapping or a list only its type."""
    if isinstance(value, dict | list):
        return _type(value)
    text = repr(value) if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


_LONGEST_SHOWN = 80


def _type(value: object) -> str:
    if isinstance(value, bool):
        return "a boolean"
    if value is None:
        return "null"
    names = {dict: "a mapping", list: "a list", str: "a text", int: "a number", float: "a number"}
    return names.get(type(value), "something else")


def _of_names(value: dict[str, Any], own: set[str]) -> Iterator[Mistake]:
    """Yield the mistakes that need the catalogue: rules, parameters and the version.

    own: the names of rules that the policy brings itself.
    """
    spec = mapping(value.get("spec"))
    version = spec.get("kubernetesVersion")
    if isinstance(version, str):
        try:
            checked_version(version)
        except PolicyError as error:
            yield "/spec/kubernetesVersion", error.message
    yield from _of_settings(spec.get("rules"), "/spec/rules", own)
    overrides, exemptions = spec.get("overrides"), spec.get("exemptions")
    for index, row in enumerate(overrides if isinstance(overrides, list) else ()):
        yield from _of_settings(mapping(row).get("rules"), f"/spec/overrides/{index}/rules", own)
    for index, row in enumerate(exemptions if isinstance(exemptions, list) else ()):
        names = mapping(row).get("rules")
        for place, name in enumerate(names if isinstance(names, list) else ()):
            if isinstance(name, str) and name and name not in {*catalogue.entries(), *own}:
                yield f"/spec/exemptions/{index}/rules/{place}", _no_rule(name, own)
    yield from _of_workloads(spec.get("workloads"))


def _of_workloads(rows: object) -> Iterator[Mistake]:
    """Yield the kinds that are given two pod specs: kinds are told apart by group, not by version."""
    known: dict[str, object] = {}
    for index, row in enumerate(rows if isinstance(rows, list) else ()):
        stated = mapping(row)
        group, kind = stated.get("apiVersion"), stated.get("kind")
        if not isinstance(group, str) or not isinstance(kind, str):
            continue
        name = kind_id(group, kind)
        if known.setdefault(name, stated.get("podSpec")) != stated.get("podSpec"):
            yield f"/spec/workloads/{index}", f"{name} has another podSpec above"


def _of_settings(rules: object, pointer: str, own: set[str]) -> Iterator[Mistake]:
    for name, setting in mapping(rules).items():
        place = f"{pointer}/{escape(name)}"
        if name not in catalogue.entries() and name not in own:
            yield place, _no_rule(name, own)
            continue
        rule = catalogue.load(name) if name not in own else None
        known = {each.name: each for each in rule.parameters} if rule is not None else {}
        for key, stated in mapping(mapping(setting).get("parameters")).items():
            parameter = known.get(key)
            if parameter is None:
                wanted = ", ".join(known) or "none"
                message = f"rule {name} has no parameter {key!r} (parameters: {wanted})"
                yield f"{place}/parameters/{escape(key)}", message + _hint(key, known)
            elif problem := parameter_problem(parameter, stated):
                yield f"{place}/parameters/{escape(key)}", f"{key} {problem}"


def _no_rule(name: str, own: set[str]) -> str:
    return f"there is no rule {name!r}{_hint(name, [*catalogue.entries(), *own])}"


def parameter_problem(parameter: Parameter, value: object) -> str:
    """Say what is wrong with a parameter's value, or return an empty text."""
    kind = parameter.kind
    if kind == "choice":
        fits = isinstance(value, str) and value in parameter.choices
        return "" if fits else f"is {_not_one_of(value, parameter.choices)}"
    test, wanted = _KINDS[kind]
    if not test(value):
        return f"is {_type(value)} where {wanted} is asked for"
    if parameter.minimum is not None and isinstance(value, int | float):
        return "" if value >= parameter.minimum else f"is {value}, less than {parameter.minimum:g}"
    return ""


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_KINDS: dict[str, tuple[Callable[[object], bool], str]] = {
    "boolean": (lambda value: isinstance(value, bool), "true or false"),
    "integer": (_is_integer, "a whole number"),
    "number": (
        lambda value: isinstance(value, int | float) and not isinstance(value, bool),
        "a number",
    ),
    "string": (lambda value: isinstance(value, str), "a text"),
    "strings": (
        lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value),
        "a list of texts",
    ),
    "integers": (
        lambda value: isinstance(value, list) and all(_is_integer(one) for one in value),
        "a list of whole numbers",
    ),
}


def _plain(parsed: model.PolicyFile, line_of: Callable[[str], int]) -> PlainPolicy:
    """Return the plain form of a valid policy."""
    spec = parsed.spec
    plain: dict[str, Any] = {"name": parsed.metadata.name}
    stated = spec.model_dump(mode="json", exclude_none=True, exclude_unset=True)
    for key in (
        "failOn",
        "rules",
        "admission",
        "workloads",
        "compatibility",
        "pin",
        "admissionPolicies",
        "imageSettings",
    ):
        if key in stated:
            plain[key] = stated[key]
    if spec.kubernetesVersion is not None:
        plain["kubernetesVersion"] = checked_version(spec.kubernetesVersion)
    if spec.profile is not None:
        plain["profiles"] = _profiles(spec.profile)
    if "rules" in stated:
        plain["ruleLines"] = {
            name: line_of(f"/spec/rules/{escape(name)}") for name in stated["rules"]
        }
    for row in stated.get("customRules", ()):
        plain.setdefault("customRules", []).append(row)
    for key in ("overrides", "exemptions"):
        if key in stated:
            plain[key] = [
                {**_with_profiles(row), "line": line_of(f"/spec/{key}/{index}")}
                for index, row in enumerate(stated[key])
            ]
    return plain  # type: ignore[return-value] # the models have the form of PlainPolicy


def _with_profiles(row: dict[str, Any]) -> dict[str, Any]:
    if "profile" not in row:
        return row
    rest = {key: value for key, value in row.items() if key != "profile"}
    return {**rest, "profiles": _profiles(row["profile"])}


def _profiles(stated: Sequence[str]) -> list[str]:
    return [name for name in PROFILES if name in stated]
