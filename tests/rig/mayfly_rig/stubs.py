"""Services that moto does not have: quotas, price list, spot prices. Each answers only what is asked of it here."""

from __future__ import annotations

import json
from typing import Any
from xml.sax.saxutils import escape

from moto.ec2.models.instance_types import INSTANCE_TYPES

from .capacity import CAPACITY, architectures, vcpus
from .prices import PRICES
from .wire import Call, Reply, error, json_reply, numbered, xml_reply
from .world import WORLD, stamp

ZONES = "abc"
HOUR = 3600
PRICE_AGE = 1800


def answer(call: Call) -> Reply | None:
    """The answer, where it is ours to give."""
    if call.service == "servicequotas" and call.action in ("GetServiceQuota", "GetAWSDefaultServiceQuota"):
        return _quota(call)
    if call.service == "pricing" and call.action == "GetProducts":
        return _products(call)
    if call.service == "ec2" and call.action == "DescribeSpotPriceHistory":
        return _spot_history(call)
    return None


def _quota(call: Call) -> Reply:
    code = call.body.get("QuotaCode", "")
    if call.body.get("ServiceCode") != "ec2" or code not in CAPACITY.quotas:
        return error(
            call, 400, "NoSuchResourceException", f"The request failed because the specified quota {code} does not exist."
        )
    quota = {
        "ServiceCode": "ec2",
        "ServiceName": "Amazon Elastic Compute Cloud (Amazon EC2)",
        "QuotaArn": f"arn:aws:servicequotas:{call.region}:123456789012:ec2/{code}",
        "QuotaCode": code,
        "QuotaName": f"Running instances, vCPUs ({code})",
        "Value": CAPACITY.quotas[code],
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
    }
    return json_reply({"Quota": quota})


def _products(call: Call) -> Reply:
    wanted = {row.get("Field"): row.get("Value") for row in call.body.get("Filters", [])}
    kind = wanted.get("instanceType")
    if call.body.get("ServiceCode") != "AmazonEC2" or not kind:
        return error(call, 400, "InvalidParameterException", "the rig prices instance types of AmazonEC2 only")
    if kind not in INSTANCE_TYPES:
        return json_reply({"FormatVersion": "aws_v1", "PriceList": []})
    return json_reply({"FormatVersion": "aws_v1", "PriceList": [json.dumps(_product(kind, wanted.get("regionCode")))]})


def _product(kind: str, region: str | None) -> dict[str, Any]:
    term = f"RIG{kind}.JRTCKXETXF"
    return {
        "product": {
            "productFamily": "Compute Instance",
            "sku": f"RIG{kind}",
            "attributes": {
                "instanceType": kind,
                "regionCode": region or "us-east-1",
                "operatingSystem": "Linux",
                "tenancy": "Shared",
                "preInstalledSw": "NA",
                "capacitystatus": "Used",
                "vcpu": str(vcpus(kind)),
                "physicalProcessor": ",".join(architectures(kind)),
            },
        },
        "serviceCode": "AmazonEC2",
        "terms": {
            "OnDemand": {
                term: {
                    "offerTermCode": "JRTCKXETXF",
                    "priceDimensions": {
                        f"{term}.6YS6EN2CT7": {
                            "unit": "Hrs",
                            "beginRange": "0",
                            "endRange": "Inf",
                            "pricePerUnit": {"USD": f"{PRICES.on_demand(kind):.10f}"},
                        }
                    },
                }
            }
        },
    }


def _spot_history(call: Call) -> Reply:
    filters = {}
    index = 1
    while (name := call.params.get(f"Filter.{index}.Name")) is not None:
        filters[name] = numbered(call.params, f"Filter.{index}.Value")
        index += 1
    kinds = numbered(call.params, "InstanceType") or filters.get("instance-type") or []
    products = numbered(call.params, "ProductDescription") or filters.get("product-description") or ["Linux/UNIX"]
    one = call.params.get("AvailabilityZone")
    zones = [one] if one else filters.get("availability-zone") or [f"{call.region}{letter}" for letter in ZONES]
    # AWS answers with the price that held when the time began, and each change since.
    at = stamp(WORLD.now() // HOUR * HOUR - PRICE_AGE)
    rows = "".join(
        f"<item><instanceType>{escape(kind)}</instanceType><productDescription>{escape(product)}</productDescription>"
        f"<spotPrice>{PRICES.spot(kind, zone):.6f}</spotPrice><timestamp>{at}</timestamp>"
        f"<availabilityZone>{escape(zone)}</availabilityZone></item>"
        for kind in kinds
        if kind in INSTANCE_TYPES
        for zone in zones
        for product in products
    )
    return xml_reply(
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<DescribeSpotPriceHistoryResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>rig</requestId>'
        f"<spotPriceHistorySet>{rows}</spotPriceHistorySet><nextToken></nextToken></DescribeSpotPriceHistoryResponse>"
    )
