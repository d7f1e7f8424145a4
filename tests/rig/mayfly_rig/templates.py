"""Launch templates: all of a template reaches the instance, and its versions behave."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import (
    EC2ClientError,
    InvalidLaunchTemplateIdNotFound,
    InvalidLaunchTemplateNameNotFoundWithNameError,
    InvalidLaunchTemplateVersionNotFound,
)
from moto.ec2.models import launch_templates as models
from moto.ec2.responses.launch_templates import LaunchTemplates
from moto.ec2.utils import convert_tag_spec, parse_user_data

PAGE = 200
ALL = 1_000_000


def fill(backend: Any, image_id: str | None, user_data: Any, kwargs: dict[str, Any]) -> tuple[str | None, Any]:
    """Fills what a RunInstances call leaves open from its template; what the call says wins, as in AWS."""
    argument = kwargs.get("launch_template")
    data: dict[str, Any] = {}
    if argument:
        version = backend._get_template_from_args(argument)
        # What `$Latest` means is decided now, once for the whole call.
        kwargs["launch_template"] = {"LaunchTemplateId": version.template.id, "Version": str(version.number)}
        data = version.data
    else:
        kwargs.pop("launch_template", None)
    if not user_data and data.get("UserData"):
        user_data = parse_user_data(str(data["UserData"]))
    if kwargs.get("is_instance_type_default") and data.get("InstanceType"):
        kwargs.update(instance_type=data["InstanceType"], is_instance_type_default=False)
    _fill_simple(data, kwargs)
    _fill_network(data, kwargs)
    _fill_tags(data, kwargs)
    return image_id or data.get("ImageId"), user_data


def _fill_simple(data: dict[str, Any], kwargs: dict[str, Any]) -> None:
    for ours, theirs in (
        ("key_name", "KeyName"),
        ("metadata_options", "MetadataOptions"),
        ("instance_initiated_shutdown_behavior", "InstanceInitiatedShutdownBehavior"),
        ("ebs_optimized", "EbsOptimized"),
        ("disable_api_termination", "DisableApiTermination"),
        ("block_device_mappings", "BlockDeviceMappings"),
    ):
        if not kwargs.get(ours) and data.get(theirs):
            kwargs[ours] = data[theirs]
    if not kwargs.get("block_device_mappings"):
        kwargs.pop("block_device_mappings", None)
    if not kwargs.get("instance_market_options"):
        kwargs["instance_market_options"] = data.get("InstanceMarketOptions", {}).get("MarketType")
    profile = data.get("IamInstanceProfile", {})
    if not kwargs.get("iam_instance_profile_name") and not kwargs.get("iam_instance_profile_arn"):
        kwargs["iam_instance_profile_name"] = profile.get("Name")
        kwargs["iam_instance_profile_arn"] = profile.get("Arn")
    placement = data.get("Placement", {}).get("AvailabilityZone")
    kwargs["placement"] = kwargs.get("placement") or placement


def _fill_network(data: dict[str, Any], kwargs: dict[str, Any]) -> None:
    nics = [dict(nic) for nic in kwargs.get("nics") or data.get("NetworkInterfaces") or []]
    groups = list(kwargs.get("security_group_ids") or data.get("SecurityGroupIds") or [])
    if nics and groups:
        raise EC2ClientError(
            "InvalidParameterCombination",
            "Network interfaces and an instance-level security groups may not be specified on the same request",
        )
    if not nics:
        nics = [{"DeviceIndex": 0}]
        public = kwargs.get("associate_public_ip")
    else:
        public = nics[0].get("AssociatePublicIpAddress")
    first = nics[0]
    first["DeviceIndex"] = int(first.get("DeviceIndex") or 0)
    if "NetworkInterfaceId" not in first:
        # moto adds the instance's groups to the interface's, and shows only the instance's.
        groups += first.pop("Groups", None) or []
        first.setdefault("DeleteOnTermination", True)
    subnet = kwargs.get("subnet_id") or first.get("SubnetId")
    if subnet:
        first["SubnetId"] = kwargs["subnet_id"] = subnet
    kwargs.update(nics=nics, security_group_ids=groups, associate_public_ip=public)


def _fill_tags(data: dict[str, Any], kwargs: dict[str, Any]) -> None:
    asked = kwargs.get("tags") or {}
    tags = {kind: dict(own) for kind, own in convert_tag_spec(data.get("TagSpecifications", [])).items()}
    for kind, own in asked.items():
        tags.setdefault(kind, {}).update(own)
    kwargs["tags"] = tags


def _create_launch_template(original: Any) -> Any:
    def create(self: Any, name: str, description: str, template_data: dict[str, Any], tag_spec: Any) -> Any:
        # The template's own tags are none of its data.
        specs = template_data.get("TagSpecifications", [])
        template_data["TagSpecifications"] = [spec for spec in specs if spec.get("ResourceType") != "launch-template"]
        return original(self, name, description, template_data, tag_spec)

    return create


def _create_version(self: Any, data: dict[str, Any], description: str) -> Any:
    number = max((version.number for version in self.versions), default=0) + 1
    data["UserData"] = parse_user_data(str(data["UserData"])) if data.get("UserData") else None
    version = models.LaunchTemplateVersion(self, number, data, description)
    self.versions.append(version)
    return version


def _get_version(self: Any, number: Any) -> Any:
    wanted = str(number).lower()
    if wanted == "$latest":
        return self.versions[-1]
    if wanted == "$default":
        return self.default_version()
    for version in self.versions:
        if str(version.number) == wanted:
            return version
    raise InvalidLaunchTemplateVersionNotFound(template_id=self.id, version=number)


def _default_version(self: Any) -> Any:
    return _get_version(self, self.default_version_number)


def _template_of(self: Any) -> Any:
    name = self._get_param("LaunchTemplateName")
    if name:
        return self.ec2_backend.get_launch_template_by_name(name)
    return self.ec2_backend.get_launch_template(self._get_param("LaunchTemplateId"))


def _create_launch_template_version(original: Any) -> Any:
    def create(self: Any) -> Any:
        source = self._get_param("SourceVersion")
        answer = original(self)
        if source:
            template = _template_of(self)
            version = template.versions[-1]
            own = {key: value for key, value in version.data.items() if value is not None}
            version.data = {**_get_version(template, source).data, **own}
            answer.result["LaunchTemplateVersion"]["LaunchTemplateData"] = version.data
        return answer

    return create


def _delete_launch_template_versions(self: Any) -> ActionResult:
    template = _template_of(self)
    done, failed = [], []
    for number in self._get_param("Versions", []):
        fact = {
            "LaunchTemplateId": template.id,
            "LaunchTemplateName": template.name,
            "VersionNumber": int(number),
        }
        found = [version for version in template.versions if str(version.number) == str(number)]
        if found and not template.is_default(found[0]):
            template.versions.remove(found[0])
            done.append(fact)
        else:
            code = "launchTemplateVersionNotFound" if not found else "unexpectedError"
            failed.append(fact | {"ResponseError": {"Code": code, "Message": f"version {number} cannot be deleted"}})
    return ActionResult(
        {
            "SuccessfullyDeletedLaunchTemplateVersions": done,
            "UnsuccessfullyDeletedLaunchTemplateVersions": failed,
        }
    )


def _delete_launch_template(original: Any) -> Any:
    def delete(self: Any, name: str | None, tid: str | None) -> Any:
        if name and name not in self.launch_template_name_to_ids:
            raise InvalidLaunchTemplateNameNotFoundWithNameError(name)
        if tid and tid not in self.launch_templates:
            raise InvalidLaunchTemplateIdNotFound(tid)
        return original(self, name, tid)

    return delete


def _describe_launch_templates(original: Any) -> Any:
    def describe(self: Any, template_names: Any = None, template_ids: Any = None, filters: Any = None) -> Any:
        for template_id in template_ids or []:
            self.get_launch_template(template_id)
        return original(self, template_names, template_ids, filters)

    return describe


def _paged(original: Any, key: str) -> Any:
    """moto shows the first 15 and says nothing of the others."""

    def describe(self: Any) -> Any:
        token, size = self._get_param("NextToken"), self._get_int_param("MaxResults") or PAGE
        ask = self._get_int_param
        self._get_int_param = lambda name, *rest: ALL if name == "MaxResults" else ask(name, *rest)
        answer = original(self)
        start = int(token) if token else 0
        rows = answer.result[key]
        answer.result[key] = rows[start : start + size]
        if len(rows) > start + size:
            answer.result["NextToken"] = str(start + size)
        return answer

    return describe


def install() -> None:
    """Patches moto."""
    backend: Any = models.LaunchTemplateBackend
    backend.create_launch_template = _create_launch_template(backend.create_launch_template)
    backend.delete_launch_template = _delete_launch_template(backend.delete_launch_template)
    backend.describe_launch_templates = _describe_launch_templates(backend.describe_launch_templates)
    template: Any = models.LaunchTemplate
    template.create_version = _create_version
    template.get_version = _get_version
    template.default_version = _default_version
    response: Any = LaunchTemplates
    response.create_launch_template_version = _create_launch_template_version(response.create_launch_template_version)
    response.describe_launch_templates = _paged(response.describe_launch_templates, "LaunchTemplates")
    response.describe_launch_template_versions = _paged(response.describe_launch_template_versions, "LaunchTemplateVersions")
    response.delete_launch_template_versions = _delete_launch_template_versions
