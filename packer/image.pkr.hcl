# The machine image of a node, for one architecture. README.md has the commands.

variable "region" {
  type        = string
  description = "Where the image is made and stays."
}

variable "arch" {
  type        = string
  default     = "arm64"
  description = "Of the instance types that will boot it: arm64 or x86_64."

  validation {
    condition     = contains(["arm64", "x86_64"], var.arch)
    error_message = "The arch must be arm64 or x86_64."
  }
}

variable "programs" {
  type        = string
  description = "Folder with agent and coordinator, built for this architecture on Debian 12 or older."
}

variable "mayfly_version" {
  type        = string
  description = "What `agent --version` of these programs says."
}

variable "spark_version" {
  type        = string
  default     = "4.0.5"
  description = "A release of Spark on PyPI; hadoop_version and aws_sdk_version must fit it."
}

variable "hadoop_version" {
  type        = string
  default     = "3.4.1"
  description = "The Hadoop that this Spark carries."
}

variable "aws_sdk_version" {
  type        = string
  default     = "2.24.6"
  description = "The SDK that hadoop-aws of this version was built with."
}

variable "consul_version" {
  type    = string
  default = "1.20.6"
}

variable "consul_sha256" {
  type        = string
  description = "Of Consul's archive for this architecture."
}

variable "hadoop_aws_sha256" {
  type        = string
  description = "Of hadoop-aws-VERSION.jar."
}

variable "aws_sdk_sha256" {
  type        = string
  description = "Of bundle-VERSION.jar."
}

variable "mirror" {
  type        = string
  default     = ""
  description = "URL of a copy of what is downloaded, reachable from the machine that is baked."
}

variable "ssh_from" {
  type        = list(string)
  description = "Networks that may reach the machine while it is baked: your own address, as 203.0.113.7/32."

  validation {
    condition     = length(var.ssh_from) > 0 && contains(var.ssh_from, "0.0.0.0/0") == false
    error_message = "The machine must not be open to the world: name your own address, as 203.0.113.7/32."
  }
}

variable "subnet_id" {
  type        = string
  default     = ""
  description = "A public subnet to bake in; that of the default VPC when empty."
}

variable "encrypted" {
  type        = bool
  default     = false
  description = "Encrypt the image's snapshot with the account's default key for EBS."
}

locals {
  # Debian's word for it, and a type that is quick enough to make the archive of classes.
  debian_arch = { arm64 = "arm64", x86_64 = "amd64" }
  bake_type   = { arm64 = "m7g.large", x86_64 = "m7i.large" }

  name = "mayfly-${var.mayfly_version}-spark-${var.spark_version}-${var.arch}-${formatdate("YYYYMMDDhhmmss", timestamp())}"
  # The policy `bake` lets its holder change only what has the first of these.
  tags = {
    "managed-by"     = "mayfly"
    "Name"           = local.name
    "mayfly:version" = var.mayfly_version
    "mayfly:spark"   = var.spark_version
    "mayfly:arch"    = var.arch
  }
}

source "amazon-ebs" "node" {
  region        = var.region
  subnet_id     = var.subnet_id
  instance_type = local.bake_type[var.arch]
  ssh_username  = "admin" # no role: the metadata of this machine has no keys to give

  temporary_security_group_source_cidrs = var.ssh_from
  associate_public_ip_address           = true
  shutdown_behavior                     = "terminate"

  source_ami_filter {
    filters = {
      name                = "debian-12-${local.debian_arch[var.arch]}-*"
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
    owners      = ["136693071363"]
    most_recent = true
  }

  launch_block_device_mappings {
    device_name           = "/dev/xvda"
    volume_size           = 12
    volume_type           = "gp3"
    iops                  = 3000
    throughput            = 125
    encrypted             = var.encrypted
    delete_on_termination = true
  }

  ami_name        = local.name
  ami_description = "Mayfly ${var.mayfly_version}: Spark ${var.spark_version} on Debian 12"
  imds_support    = "v2.0" # the one argument here that Packer 1.6 does not know; `check` leaves it out there

  tags            = local.tags
  snapshot_tags   = local.tags
  run_tags        = local.tags
  run_volume_tags = local.tags
}

build {
  sources = ["source.amazon-ebs.node"]

  provisioner "shell" {
    inline = ["mkdir -p /tmp/mayfly/programs"]
  }

  provisioner "file" {
    sources     = ["${path.root}/provision.sh", "${path.root}/pins.env", "${path.root}/lib", "${path.root}/bin", "${path.root}/units"]
    destination = "/tmp/mayfly/"
  }

  provisioner "file" {
    sources     = ["${var.programs}/agent", "${var.programs}/coordinator"]
    destination = "/tmp/mayfly/programs/"
  }

  provisioner "shell" {
    environment_vars = [
      "SPARK_VERSION=${var.spark_version}",
      "HADOOP_VERSION=${var.hadoop_version}",
      "AWS_SDK_VERSION=${var.aws_sdk_version}",
      "CONSUL_VERSION=${var.consul_version}",
      "CONSUL_SHA256=${var.consul_sha256}",
      "HADOOP_AWS_SHA256=${var.hadoop_aws_sha256}",
      "AWS_SDK_SHA256=${var.aws_sdk_sha256}",
      "MAYFLY_MIRROR=${var.mirror}",
    ]
    execute_command = "sudo env {{ .Vars }} bash {{ .Path }}"
    inline = [
      "cloud-init status --wait",
      "bash /tmp/mayfly/provision.sh /tmp/mayfly/programs",
      "rm -rf /tmp/mayfly",
    ]
  }
}
