"""The real servers, one row each: how a server is had, started, asked whether it serves, reached.

Rows are templates. They may name $folder (the server's own), $program, $host (where others reach
it) and $<port> for each port that they declare.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from tools.programs import table as programs
from tools.programs.fetching import Program
from tools.servers import probes

PASSWORD = "ragmesh-development"  # noqa: S105 - of servers on loopback that keep nothing
"""Of PostgreSQL's user ragmesh, and the secret key of S3."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A real server, as a row of the table."""

    program: Program
    command: tuple[str, ...]
    ports: tuple[str, ...]
    """Names of ports that are chosen among the free ones; the first is where it serves."""
    serves: Callable[[str, int], bool]
    """Whether something serves at a host and port."""
    setting: str
    """The variable of ragmesh that names it, by its URL."""
    url: str
    """What that takes."""
    environ: Mapping[str, str] = field(default_factory=dict)
    """What the server is told by variables."""
    client_environ: Mapping[str, str] = field(default_factory=dict)
    """What its clients are told by variables, beside the URL."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Written into the folder before each start."""
    prepare: tuple[str, ...] = ()
    """Run once, before anything is in the folder `data`."""
    user: str | None = None
    """As whom root starts it."""
    own_network: bool = False
    """Whether it listens on all addresses, and therefore gets a network of its own."""
    stop_signal: signal.Signals = signal.SIGTERM


_JAVA = ("java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", "$program/*")

_KAFKA = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@$host:$controller
listeners=PLAINTEXT://$host:$kafka,CONTROLLER://$host:$controller
advertised.listeners=PLAINTEXT://$host:$kafka
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs=$folder/data
# Topics are declared by `ragmesh topics apply`.
auto.create.topics.enable=false
# One broker has no second copy, and starts faster with fewer partitions of its own topics.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
"""

_KAFKA_OPEN = """\
listeners=PLAINTEXT://$host:$kafka,CONTROLLER://$host:$controller
advertised.listeners=PLAINTEXT://$host:$kafka
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
"""
_KAFKA_SECURED = """\
listeners=SECURED://$host:$kafka,CONTROLLER://$host:$controller,INTERNAL://$host:$internal
advertised.listeners=SECURED://$host:$kafka,INTERNAL://$host:$internal
listener.security.protocol.map=SECURED:SASL_SSL,CONTROLLER:PLAINTEXT,INTERNAL:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=INTERNAL
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.secured.scram-sha-512.sasl.jaas.config=\\
org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.secured.ssl.keystore.type=PEM
listener.name.secured.ssl.keystore.location=$folder/broker.pem
"""

_KAFKA_WIRED = """\
listeners=PLAINTEXT://$host:$kafka,CONTROLLER://$host:$controller,WIRED://$host:$wired
advertised.listeners=PLAINTEXT://$host:$kafka,WIRED://$host:$wire
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,WIRED:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
"""

_COLLECTOR = """\
receivers: {otlp: {protocols: {grpc: {endpoint: "$host:$otlp"}}}}
processors:
  memory_limiter: {check_interval: 1s, limit_mib: 256}
  batch: {timeout: 200ms}
exporters:
  file: {path: "$folder/traces.jsonl", append: true, flush_interval: 100ms}
  prometheus: {endpoint: "$host:$prometheus"}
connectors:
  spanmetrics: {histogram: {explicit: {buckets: [10ms, 100ms, 1s]}}, metrics_flush_interval: 1s}
service:
  telemetry: {metrics: {level: none}}
  pipelines:
    traces: {receivers: [otlp], processors: [memory_limiter, batch], exporters: [file, spanmetrics]}
    metrics: {receivers: [otlp, spanmetrics], processors: [batch], exporters: [prometheus]}
"""

_KAFKA_KIND = Kind(
    program=programs.KAFKA,
    files={"server.properties": _KAFKA},
    prepare=(
        *(*_JAVA, "kafka.tools.StorageTool", "format"),
        *("--cluster-id", "AAAAAAAAAAAAAAAAAAAAAA"),
        *("--config", "$folder/server.properties"),
    ),
    command=(
        *(*_JAVA, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"),
        *("kafka.Kafka", "$folder/server.properties"),
    ),
    ports=("kafka", "controller"),
    serves=probes.answers_kafka,
    setting="RAGMESH_EVENTS__URL",
    url="kafka://$host:$kafka",
    client_environ={"RAGMESH_EVENTS__KAFKA__REPLICATION": "1"},  # there is one broker
)

KINDS: Mapping[str, Kind] = {
    "kafka": _KAFKA_KIND,
    "kafka-wired": replace(
        _KAFKA_KIND,
        # A broker names the address where it is found: whoever starts it says at which port the
        # wire is that leads to its port `wired`.
        files={"server.properties": _KAFKA.replace(_KAFKA_OPEN, _KAFKA_WIRED)},
        ports=("kafka", "controller", "wired", "wire"),
        url="kafka://$host:$wire",
    ),
    "kafka-secured": replace(
        _KAFKA_KIND,
        # Whoever starts it puts key and certificate into $folder/broker.pem.
        files={"server.properties": _KAFKA.replace(_KAFKA_OPEN, _KAFKA_SECURED)},
        prepare=(
            *_KAFKA_KIND.prepare,
            *("--add-scram", f"SCRAM-SHA-512=[name=ragmesh,password={PASSWORD}]"),
        ),
        # The one where they speak among each other is asked: it is open.
        ports=("internal", "kafka", "controller"),
    ),
    "weaviate": Kind(
        program=programs.WEAVIATE,
        command=("$program", "--host", "0.0.0.0", "--port", "8080", "--scheme", "http"),  # noqa: S104
        environ={
            "PERSISTENCE_DATA_PATH": "$folder/data",
            # Keywords are ranked wrongly until rows have left the memtable.
            "PERSISTENCE_MEMTABLES_FLUSH_DIRTY_AFTER_SECONDS": "2",
            "CLUSTER_HOSTNAME": "node1",
            "CLUSTER_ADVERTISE_ADDR": "127.0.0.1",
            "CLUSTER_GOSSIP_BIND_PORT": "7946",
            "CLUSTER_DATA_BIND_PORT": "7947",
            "RAFT_PORT": "8300",
            "RAFT_INTERNAL_RPC_PORT": "8301",
            "RAFT_BOOTSTRAP_EXPECT": "1",
            "GRPC_PORT": "50051",
            "DEFAULT_VECTORIZER_MODULE": "none",
            "ENABLE_MODULES": "",
            "API_BASED_MODULES_DISABLED": "true",
            "AUTOSCHEMA_ENABLED": "false",
            "DISABLE_TELEMETRY": "true",
            "GO_PROFILING_DISABLE": "true",
            "LOG_LEVEL": "warning",
            "AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED": "true",
            "LIMIT_RESOURCES": "false",
            "GOMEMLIMIT": "1GiB",
        },
        ports=(),
        own_network=True,
        serves=lambda host, _: probes.answers_http(host, 8080, "/v1/.well-known/ready"),
        setting="RAGMESH_INDEX__URL",
        url="weaviate://$host:8080",
    ),
    "postgres": Kind(
        program=programs.POSTGRES,
        files={"password": PASSWORD, "hba.conf": "host all all all scram-sha-256\n"},
        prepare=(
            *(f"{programs.POSTGRES_FOLDER}/initdb", "--pgdata=$folder/data", "--username=ragmesh"),
            *("--auth=scram-sha-256", "--pwfile=$folder/password", "--locale=C.UTF-8"),
        ),
        command=(
            *("$program", "-D", "$folder/data", "-p", "$postgres", "-c", "listen_addresses=$host"),
            *("-c", "unix_socket_directories=", "-c", "max_connections=200"),
            *("-c", "shared_buffers=64MB", "-c", "hba_file=$folder/hba.conf"),
        ),
        user="postgres",
        ports=("postgres",),
        serves=probes.answers_postgres,
        setting="RAGMESH_CATALOG__URL",
        url="postgresql+asyncpg://ragmesh@$host:$postgres/postgres",
        client_environ={"RAGMESH_CATALOG__PASSWORD_FILE": "$folder/password"},
        stop_signal=signal.SIGINT,  # "fast": it does not wait for its clients to leave
    ),
    "redis": Kind(
        program=programs.REDIS,
        command=(
            *("$program", "--bind", "$host", "--port", "$redis", "--dir", "$folder"),
            *("--save", "", "--appendonly", "no", "--daemonize", "no"),
            *("--protected-mode", "no"),  # it listens where it is told to, and nowhere else
            *("--maxmemory", "128mb", "--maxmemory-policy", "volatile-lru"),
        ),
        ports=("redis",),
        serves=probes.answers_redis,
        setting="RAGMESH_CACHE__URL",
        url="redis://$host:$redis/0",
    ),
    "s3": Kind(
        program=programs.VERSITYGW,
        # Buckets are folders: the one of the URL is there from the start.
        files={"buckets/ragmesh/.keep": ""},
        command=(
            *("$program", "--access", "ragmesh", "--secret", PASSWORD, "--port", "$host:$s3"),
            *("posix", "$folder/buckets"),
        ),
        ports=("s3",),
        serves=partial(probes.answers_http, path="/"),
        setting="RAGMESH_BLOBS__URL",
        url="s3://ragmesh",
        client_environ={
            "AWS_ENDPOINT_URL": "http://$host:$s3",
            "AWS_ACCESS_KEY_ID": "ragmesh",
            "AWS_SECRET_ACCESS_KEY": PASSWORD,
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
        },
    ),
    "collector": Kind(
        program=programs.COLLECTOR,
        files={"collector.yaml": _COLLECTOR},
        command=("$program", "--config", "$folder/collector.yaml"),
        ports=("otlp", "prometheus"),
        serves=probes.answers_grpc,
        setting="RAGMESH_TELEMETRY__OTLP_ENDPOINT",
        url="http://$host:$otlp",
    ),
}
