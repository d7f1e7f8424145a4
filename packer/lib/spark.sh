# shellcheck shell=bash
# Spark with what reads S3, and the file that tells the agent of it.

readonly TOOLCHAIN=/opt/mayfly/toolchain
readonly MAVEN=https://repo1.maven.org/maven2
readonly FOUND=$TOOLCHAIN/toolchain-$SPARK_VERSION.json

# The same way as on a laptop: PyPI's Spark, and the Python packages that every job may import.
run_toolchain() {
    /opt/mayfly/bin/agent toolchain --cache "$TOOLCHAIN" --spark "$SPARK_VERSION" --json | tee "$1/toolchain.log"
}

# toolchain KEY FOLDER: one value of what was found.
toolchain() {
    tail -n 1 "$2/toolchain.log" \
        | python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]] or "")' "$1"
}

# hadoop-aws works with the Hadoop and the SDK that it was built with, and with no other.
add_s3a() {
    local jars=$1/jars aws=org/apache/hadoop/hadoop-aws sdk=software/amazon/awssdk/bundle
    [[ -f $jars/hadoop-client-api-$HADOOP_VERSION.jar ]] \
        || die "Spark $SPARK_VERSION carries $(basename "$jars"/hadoop-client-api-*.jar), so HADOOP_VERSION cannot be $HADOOP_VERSION"
    fetch "$MAVEN/$aws/$HADOOP_VERSION/hadoop-aws-$HADOOP_VERSION.jar" \
        "${HADOOP_AWS_SHA256:-}" "$jars/hadoop-aws-$HADOOP_VERSION.jar"
    fetch "$MAVEN/$sdk/$AWS_SDK_VERSION/bundle-$AWS_SDK_VERSION.jar" \
        "${AWS_SDK_SHA256:-}" "$jars/bundle-$AWS_SDK_VERSION.jar"
}

install_spark() {
    local home
    run_toolchain "$1"
    home=$(toolchain spark_home "$1")
    if [[ ! -f $home/jars/hadoop-aws-$HADOOP_VERSION.jar ]]; then
        add_s3a "$home"
        # An archive of classes is good for one class path only: they are made again.
        rm -rf "$TOOLCHAIN"/classes-* "$FOUND"
        run_toolchain "$1"
    fi
    [[ -n $(toolchain cds_archive "$1") ]] || die "there are no archives of Spark's classes; the lines above say why"
    ln -sfn "$home" /opt/spark
    write_site "$1"
}

# What the agent cannot find out by itself on a machine that has just booted.
write_site() {
    tail -n 1 "$1/toolchain.log" | python3 -c '
import json, sys
site = {
    "toolchain": json.load(sys.stdin),
    "folder": "/var/lib/mayfly",
    "shared": "/var/lib/mayfly/shared",
    "job_user": "mayfly-job",
}
print(json.dumps(site, indent=2))' >/etc/mayfly/site.json
    chmod 0644 /etc/mayfly/site.json
}
