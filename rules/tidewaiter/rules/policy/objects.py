"""Policies that are objects of a cluster, joined with the policy file to the one policy that holds there.

The file comes first, then each ClusterPolicy in the order of names, as if their specs stood in one file: what a later
one states of a general setting, a rule or a parameter replaces what is stated before it; overrides, exemptions, kinds of
workloads, rules of their own and images add up, and of overrides that match the later wins. Then come the Policies of
namespaces, each for the objects of its own: they make rules stricter and nothing else (`narrowing`), so that their
order does not matter.

What has a mistake is left out whole, and what held of the same object before stays.
"""

from __future__ import annotations

from tidewaiter.rules.manifest.fields import mapping, text
from tidewaiter.rules.manifest.resource import kind_id
from tidewaiter.rules.policy.compiled import merged_settings
from tidewaiter.rules.policy.match import compile_match
from tidewaiter.rules.policy.narrowing import loosening
from tidewaiter.rules.policy.own_rules import own_entries
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from tidewaiter.rules.policy.compiled import Override, PlainPolicy, RuleSettings

    Object = Mapping[str, Any]
    Mistake = tuple[str, str]
    """JSON pointer and sentence."""
    Place = tuple[str, str, str]
    """Kind, namespace and name."""

CLUSTER_POLICY = "ClusterPolicy.tidewaiter.dev"
POLICY = "Policy.tidewaiter.dev"
KINDS = frozenset({CLUSTER_POLICY, POLICY})
VALID, INVALID, LOOSENS = "Valid", "Invalid", "Loosens"
_REPLACED = ("kubernetesVersion", "failOn", "profiles", "compatibility", "pin")
_JOINED = ("admission", "imageSettings")
_NARROWS = ("profiles", "rules", "mode")
_ADDED = ("overrides", "exemptions", "workloads", "customRules", "images")


@record
class Verdict:
    """What came of one object: why, and every mistake in it; `stays` tells that its last good form holds on.

    `reason` is one of VALID, INVALID and LOOSENS.
    """

    reason: str
    mistakes: tuple[Mistake, ...] = ()
    stays: bool = False

    @property
    def is_accepted(self) -> bool:
        """Whether the object is in force as it stands."""
        return not self.mistakes

    @property
    def message(self) -> str:
        """Say all of it in one line, each mistake after its pointer."""
        if not self.mistakes:
            return "in force"
        stays = "; what was accepted before stays in force" if self.stays else "; not in force"
        return "; ".join(f"{pointer or '/'}: {said}" for pointer, said in self.mistakes) + stays


@record
class Joined:
    """The one policy, what came of each object, and the form of each that is in force."""

    plain: PlainPolicy
    verdicts: Mapping[Place, Verdict]
    in_force: Mapping[Place, Object]


def place_of(value: Object) -> Place:
    """Return what tells an object from every other."""
    metadata = mapping(value.get("metadata"))
    kind = kind_id(text(value.get("apiVersion")), text(value.get("kind")))
    return kind, text(metadata.get("namespace")), text(metadata.get("name"))


def version_of(value: Object) -> tuple[object, object]:
    """Return what is another where an object is, its status left aside: uid and generation."""
    metadata = mapping(value.get("metadata"))
    return metadata.get("uid"), metadata.get("generation")


def shown(place: Place) -> str:
    """Return an object's name for people."""
    kind, namespace, name = place
    return f"{kind.partition('.')[0]} {namespace}/{name}" if namespace else f"ClusterPolicy {name}"


def join(
    file: PlainPolicy,
    objects: Iterable[Object],
    before: Mapping[Place, Object] | None = None,
    problem_of_images: Callable[[PlainPolicy], str] | None = None,
) -> Joined:
    """Return the policy of a file and the objects of a cluster.

    before: those that were in force. problem_of_images: says what is wrong with keys, which it takes more to know of
    than there is here.
    """
    before = before or {}
    ordered = sorted(((place_of(each), each) for each in objects), key=lambda each: each[0])
    verdicts: dict[Place, Verdict] = {}
    in_force: dict[Place, Object] = {}
    plain = file
    for place, value in ordered:
        if place[0] != CLUSTER_POLICY:
            continue
        for candidate in _candidates(place, value, before):
            made, mistakes = _laid_over(plain, candidate, problem_of_images)
            if made is not None:
                plain, in_force[place] = made, candidate
                break
            verdicts.setdefault(place, Verdict(INVALID, tuple(mistakes)))
        _note_outcome(verdicts, place, place in in_force)
    base = plain
    own = own_entries(base)
    overrides: list[Override] = []
    for place, value in ordered:
        if place[0] != POLICY:
            continue
        for candidate in _candidates(place, value, before):
            reason, mistakes, rows = _narrowing(base, candidate, place[1], own)
            if not mistakes:
                overrides += rows
                in_force[place] = candidate
                break
            verdicts.setdefault(place, Verdict(reason, tuple(mistakes)))
        _note_outcome(verdicts, place, place in in_force)
    if overrides:
        plain = {**base, "overrides": [*base.get("overrides", ()), *overrides]}
    return Joined(plain, verdicts, in_force)


def verdict_on(
    value: Object,
    file: PlainPolicy,
    objects: Iterable[Object],
    problem_of_images: Callable[[PlainPolicy], str] | None = None,
) -> Verdict:
    """Return what would come of an object beside those of a cluster, of which it may replace one."""
    place = place_of(value)
    # What comes after it, and the policies of namespaces, make no difference to it.
    others = [each for each in objects if place_of(each)[0] == CLUSTER_POLICY]
    others = [each for each in others if place_of(each) != place]
    return join(file, [*others, value], None, problem_of_images).verdicts[place]


def _candidates(place: Place, value: Object, before: Mapping[Place, Object]) -> Sequence[Object]:
    """Return an object and, to fall back on, the form of it that was in force before."""
    earlier = before.get(place)
    if earlier is None or earlier is value:
        return (value,)
    same = mapping(earlier.get("metadata")).get("uid") == mapping(value.get("metadata")).get("uid")
    return (value, earlier) if same else (value,)


def _note_outcome(verdicts: dict[Place, Verdict], place: Place, is_in_force: bool) -> None:
    refused = verdicts.get(place)
    verdicts[place] = (
        Verdict(VALID)
        if refused is None
        else Verdict(refused.reason, refused.mistakes, stays=is_in_force)
    )


def _laid_over(
    below: PlainPolicy, value: Object, problem_of_images: Callable[[PlainPolicy], str] | None
) -> tuple[PlainPolicy | None, list[Mistake]]:
    """Return a policy with a ClusterPolicy after it, or None and the mistakes."""
    from tidewaiter.rules.policy.validation import validated_object

    above, mistakes = validated_object(value, own_entries(below))
    if above is None:
        return None, mistakes
    mistakes = list(_conflicts(below, above))
    if "images" in above and problem_of_images is not None and (why := problem_of_images(above)):
        mistakes.append(("/spec/images", why))
    return (None, mistakes) if mistakes else (_merged(below, above, shown(place_of(value))), [])


def _conflicts(below: PlainPolicy, above: PlainPolicy) -> Iterator[Mistake]:
    """Yield what two policies cannot both say."""
    own = own_entries(below)
    for index, row in enumerate(above.get("customRules", ())):
        if row["name"] in own:
            yield f"/spec/customRules/{index}/name", f"there is another rule {row['name']}"
    pod_specs = {
        kind_id(row["apiVersion"], row["kind"]): row["podSpec"]
        for row in below.get("workloads", ())
    }
    for index, added in enumerate(above.get("workloads", ())):
        kind = kind_id(added["apiVersion"], added["kind"])
        if pod_specs.get(kind, added["podSpec"]) != added["podSpec"]:
            yield f"/spec/workloads/{index}", f"{kind} has another podSpec in another policy"


def _merged(below: PlainPolicy, above: PlainPolicy, source: str) -> PlainPolicy:
    """Return two policies as one, of which the second stands later; source: the object that it is from."""
    made: dict[str, Any] = {**below}
    stated: dict[str, Any] = {**above}
    for key in _REPLACED:
        if key in stated:
            made[key] = stated[key]
    for key in _JOINED:
        if key in stated:
            made[key] = {**made.get(key, {}), **stated[key]}
    for key in _ADDED:
        if key in stated:
            made[key] = [*made.get(key, ()), *(_signed(key, row, source) for row in stated[key])]
    if "rules" in stated:
        rules: dict[str, RuleSettings] = {**made.get("rules", {})}
        for name, setting in stated["rules"].items():
            rules[name] = merged_settings(rules.get(name, {}), setting)
        made["rules"] = rules
        lines = made.get("ruleLines", {})
        made["ruleLines"] = {key: lines[key] for key in lines if key not in stated["rules"]}
        sources = dict.fromkeys(stated["rules"], source)
        made["ruleSources"] = {**made.get("ruleSources", {}), **sources}
    return made  # type: ignore[return-value] # of the form of the two that it is made of


def _signed(key: str, row: dict[str, Any], source: str) -> dict[str, Any]:
    """Return an override or an exemption with the object that it is from in place of a line."""
    if key not in {"overrides", "exemptions"}:
        return row
    return {**{name: each for name, each in row.items() if name != "line"}, "source": source}


def _narrowing(
    base: PlainPolicy, value: Object, namespace: str, own: Iterable[str]
) -> tuple[str, list[Mistake], list[Override]]:
    """Return why a namespaced policy is refused and its mistakes, or its settings as overrides."""
    from tidewaiter.rules.policy.validation import validated_object

    plain, mistakes = validated_object(value, own)
    if plain is None:
        return INVALID, mistakes, []
    mistakes = list(loosening(mapping(value.get("spec")), namespace, base))
    if mistakes:
        return LOOSENS, mistakes, []
    stated: dict[str, Any] = {**plain}
    general = {key: stated[key] for key in _NARROWS if key in stated}
    if "mode" in stated.get("admission", {}):
        general["mode"] = stated["admission"]["mode"]
    source = shown(place_of(value))
    rows: list[Override] = []
    for row in [general, *stated.get("overrides", ())]:
        match = dict(row.get("match", {}))
        globs = match.get("namespaces")
        if globs and not any(_matches(glob, namespace) for glob in globs):
            continue
        match["namespaces"] = [namespace]
        kept: Override = {key: row[key] for key in _NARROWS if key in row}  # type: ignore[assignment]
        if kept:
            rows.append({**kept, "match": match, "narrows": True, "source": source})
    return VALID, [], rows


def _matches(glob: str, namespace: str) -> bool:
    pattern = compile_match({"namespaces": [glob]}).namespaces
    return pattern is not None and pattern.fullmatch(namespace) is not None
