"""Why a launch fails, in the words of AWS."""

from __future__ import annotations

from moto.ec2.exceptions import EC2ClientError

TEXTS = {
    "InsufficientInstanceCapacity": (
        "We currently do not have sufficient {type} capacity in the Availability Zone you requested ({az}). Our system "
        "will be working on provisioning additional capacity. You can currently get {type} capacity by not specifying "
        "an Availability Zone in your request or choosing another Availability Zone."
    ),
    "VcpuLimitExceeded": (
        "You have requested more vCPU capacity than your current vCPU limit of {limit} allows for the instance bucket "
        "that the specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to "
        "request an adjustment to this limit."
    ),
    "MaxSpotInstanceCountExceeded": "Max spot instance count exceeded",
    "Unsupported": (
        "Your requested instance type ({type}) is not supported in your requested Availability Zone ({az}). Please "
        "retry your request by not specifying an Availability Zone or choosing another Availability Zone."
    ),
    "UnauthorizedOperation": (
        "You are not authorized to perform this operation. Encoded authorization failure message: "
        "4OaOdTmzvzQiNjuYRLKtTuuVdHXzbnO6"
    ),
    "InvalidAMIID.NotFound": "The image id '[{image}]' does not exist",
    "InvalidParameterValue": "The request is not valid for {type} in {az}",
    "RequestLimitExceeded": "Request limit exceeded.",
    "InternalError": "An internal error has occurred",
}

NO_SPOT = "There is no Spot capacity available that matches your request."


class LaunchError(EC2ClientError):
    """RunInstances refused, with AWS's code and text."""


def launch_error(code: str, message: str | None = None, **facts: object) -> LaunchError:
    """The error of this code; facts are the type, zone, image and limit that its text names."""
    known = {"type": "", "az": "", "image": "", "limit": 0, "market": "on-demand"} | facts
    if message is None and code == "InsufficientInstanceCapacity" and known["market"] == "spot":
        message = NO_SPOT
    text = message if message is not None else TEXTS.get(code, code).format(**known)
    return LaunchError(code, text)
