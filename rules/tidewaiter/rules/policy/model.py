"""The policy file as pydantic models: its validation and its JSON Schema come from them.

Keys are as in the file (camelCase). Only `policy.file` and `policy.schema` import this module: what the
engine reads is the plain form of `policy.compiled`, and a cached policy does without pydantic.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictStr,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from tidewaiter.rules.policy.image_model import (  # pydantic reads the annotations at run time
    ImageEntry,  # noqa: TC001
    ImageSettings,  # noqa: TC001
)
from tidewaiter.rules.policy.match import expression

API_VERSION = "tidewaiter.dev/v1"
Severity = Literal["error", "warning", "info"]
FailOn = Literal["error", "warning", "info", "never"]
Mode = Literal["enforce", "warn", "audit"]
Profile = Literal["pss-baseline", "pss-restricted", "recommended", "production", "all"]
Profiles = Annotated[
    list[Profile],
    BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
    Field(min_length=1),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": list(get_args(Profile))},
                {"type": "array", "minItems": 1, "items": {"enum": list(get_args(Profile))}},
            ]
        }
    ),
]
"""One profile, or a list of them."""
Text = Annotated[StrictStr, Field(min_length=1)]


def _glob(value: str) -> str:
    try:
        expression(value)
    except ValueError as error:
        raise PydanticCustomError("glob", "{problem}", {"problem": str(error)}) from None
    return value


def _calendar_day(value: object) -> object:
    """Refuse the other forms that pydantic reads as a date: seconds since 1970, and midnight."""
    if isinstance(value, str) and re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        return value
    raise PydanticCustomError("date_type", "no calendar day")


Globs = Annotated[list[Annotated[Text, AfterValidator(_glob)]], Field(min_length=1)]
Day = Annotated[date, BeforeValidator(_calendar_day)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Match(_Strict):
    """Which objects are meant: every given field must match, in a list one entry is enough."""

    namespaces: Globs | None = Field(None, description="Globs of namespaces.")
    kinds: Globs | None = Field(
        None, description="Globs of kinds, as Deployment or Deployment.apps."
    )
    names: Globs | None = Field(None, description="Globs of names.")
    labels: dict[str, StrictStr] | None = Field(
        None, description="Labels of the object or its pod template, each with its exact value."
    )
    files: Globs | None = Field(None, description="Globs of paths; ** crosses folders.")


class ExemptionMatch(Match):
    """Which objects, and which containers of them, an exemption is for."""

    containers: Globs | None = Field(None, description="Globs of container names.")
    images: Globs | None = Field(None, description="Globs of image references.")


class RuleSettings(_Strict):
    """What the policy says of one rule; what it leaves out stays as the rule has it."""

    enabled: StrictBool | None = Field(None, description="Switch the rule on or off.")
    severity: Severity | None = Field(None, description="Severity of the rule's findings.")
    parameters: dict[str, Any] | None = Field(None, description="Parameters of the rule.")
    mode: Mode | None = Field(None, description="What admission does with the rule's findings.")


class Override(_Strict):
    """Other settings for a part of the world; of several that match, the later one wins."""

    match: Match = Field(description="Which objects it is for.")
    profile: Profiles | None = Field(None, description="Profiles in place of the policy's.")
    rules: dict[str, RuleSettings] | None = Field(None, description="Settings of rules, by name.")
    mode: Mode | None = Field(None, description="What admission does with findings.")


class Exemption(_Strict):
    """A permission to break rules, with a reason."""

    match: ExemptionMatch = Field(description="Which objects and containers it is for.")
    rules: Annotated[list[Text], Field(min_length=1)] = Field(description="Names of rules.")
    reason: Annotated[StrictStr, Field(min_length=1, pattern=r"\S")] = Field(
        description="Why, and until when; people read it."
    )
    expires: Day | None = Field(None, description="The last day on which it holds, as 2027-01-31.")


class AdmissionExempt(_Strict):
    """Requests that are not reviewed at all; in each list one entry is enough."""

    usernames: Globs | None = Field(None, description="Globs of the names of users.")
    groups: Globs | None = Field(None, description="Globs of the groups of users.")
    namespaces: Globs | None = Field(
        None, description="Globs of namespaces; objects in none match no glob."
    )
    builtIn: StrictBool = Field(  # noqa: N815
        True,
        description="Whether the cluster's own components, kube-system and the webhook's namespace "
        "are exempt too.",
    )


class Admission(_Strict):
    """How the webhook uses the policy; the linter does not look at it."""

    mode: Mode = Field("enforce", description="What to do with violations.")
    unknown: Literal["deny", "warn", "allow"] = Field(
        "warn", description="What to do where a rule cannot know."
    )
    crossResource: Literal["deny", "warn"] = Field(  # noqa: N815 - as the file has it
        "warn",
        description="The most that comes of rules which ask about other objects, as these may "
        "arrive later.",
    )
    onTimeout: Literal["deny", "warn", "allow"] = Field(  # noqa: N815
        "deny", description="What to do where there is no time to ask every rule."
    )
    ratchet: StrictBool = Field(
        False,
        description="Whether an update may keep the violations that its object has already.",
    )
    annotationExemptions: StrictBool = Field(  # noqa: N815
        False, description="Whether annotations on objects exempt them at admission."
    )
    exempt: AdmissionExempt | None = Field(
        None, description="Requests that are not reviewed at all."
    )


class WorkloadKind(_Strict):
    """A further kind with a pod spec."""

    apiVersion: Annotated[StrictStr, Field(pattern=r"^[^/\s]+(/[^/\s]+)?$")] = Field(  # noqa: N815
        description="Group and version, as example.com/v1."
    )
    kind: Text = Field(description="The kind.")
    podSpec: Annotated[StrictStr, Field(pattern=r"^(/[^/]+)+$")] = Field(  # noqa: N815
        description="JSON pointer of the pod spec, as /spec/template/spec."
    )


class PinnedValues(_Strict):
    """Images in files of values."""

    files: Annotated[list[Text], Field(min_length=1)] = Field(
        description="Globs of files, as seen from the policy's folder: charts/*/values.yaml."
    )
    paths: Annotated[
        list[Annotated[StrictStr, Field(pattern=r"^(/[^/]+)+$")]], Field(min_length=1)
    ] = Field(
        description="JSON pointers of images, as /image: a text, or registry, repository and tag."
    )


class Pin(_Strict):
    """What `tidewaiter pin` pins beside manifests and kustomizations."""

    values: list[PinnedValues] | None = Field(None, description="Images in Helm values.")


class NamedExpression(_Strict):
    """An expression with a name."""

    name: Annotated[StrictStr, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] = Field(
        description="The name, as other expressions use it."
    )
    expression: Text = Field(description="The expression, in CEL.")


class CustomRule(_Strict):
    """A rule of your own, in the Common Expression Language."""

    name: Annotated[StrictStr, Field(max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")] = (
        Field(description="The rule's name, in lower case with hyphens.")
    )
    severity: Severity = Field("error", description="Severity of the rule's findings.")
    summary: Text | None = Field(None, description="What must hold, in one line.")
    remediation: Text | None = Field(None, description="What to do about a finding.")
    match: Match | None = Field(None, description="Which objects it is for. Default: all.")
    matchConditions: list[NamedExpression] | None = Field(  # noqa: N815
        None, description="Expressions that must all be true of an object, or it is left out."
    )
    params: Any = Field(None, description="What expressions see as `params`.")
    variables: list[NamedExpression] | None = Field(
        None, description="What expressions see as `variables.NAME`; each sees those above it."
    )
    expression: Text = Field(description="What must be true of an object, in CEL.")
    message: Text | None = Field(None, description="What is said where it is not.")
    messageExpression: Text | None = Field(  # noqa: N815
        None, description="An expression that gives the message."
    )
    pointer: Annotated[StrictStr, Field(pattern=r"^(/[^/]+)*$")] | None = Field(
        None,
        description="JSON pointer of the field that findings stand at. Default: the first field "
        "that the expression reads.",
    )


class PolicySpec(_Strict):
    """The policy itself."""

    profile: Profiles | None = Field(
        None, description="The rules that hold; several profiles add up. Default: recommended."
    )
    kubernetesVersion: StrictStr | None = Field(  # noqa: N815
        None, description='The version to check for, in quotes: "1.34". Default: the newest known.'
    )
    failOn: FailOn | None = Field(  # noqa: N815
        None, description="The lowest severity that makes lint exit with 1. Default: error."
    )
    rules: dict[str, RuleSettings] | None = Field(None, description="Settings of rules, by name.")
    overrides: list[Override] | None = Field(None, description="Other settings for some objects.")
    exemptions: list[Exemption] | None = Field(None, description="Permissions to break rules.")
    admission: Admission | None = Field(None, description="How the webhook uses the policy.")
    workloads: list[WorkloadKind] | None = Field(None, description="Further kinds with a pod spec.")
    compatibility: list[Literal["kube-linter", "kube-score", "polaris", "checkov"]] | None = Field(
        None, description="Other linters whose ignore annotations count."
    )
    pin: Pin | None = Field(None, description="What `tidewaiter pin` pins beside manifests.")
    customRules: list[CustomRule] | None = Field(  # noqa: N815
        None, description="Rules of your own, in CEL."
    )
    images: Annotated[list[ImageEntry], Field(min_length=1)] | None = Field(
        None, description="Which images must be signed, by whom, and what must be attested of them."
    )
    imageSettings: ImageSettings | None = Field(  # noqa: N815
        None, description="How the entries of images work together."
    )
    admissionPolicies: list[Text] | None = Field(  # noqa: N815
        None,
        description="Files and folders with ValidatingAdmissionPolicies, their bindings and "
        "parameters, as paths from the policy file.",
    )


class Metadata(BaseModel):
    """Name, labels and annotations, as of any Kubernetes object."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: Text = Field(description="The policy's name.")


class PolicyFile(_Strict):
    """A policy: which rules hold for which objects."""

    apiVersion: Literal["tidewaiter.dev/v1"] = Field(description="The version of this form.")  # noqa: N815
    kind: Literal["Policy"] = Field(description="Policy.")
    metadata: Metadata = Field(description="The policy's name.")
    spec: PolicySpec = Field(description="The policy itself.")
