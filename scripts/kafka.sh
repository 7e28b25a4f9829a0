#!/usr/bin/env bash
# An Apache Kafka on this machine, to try the service with: one broker, in the foreground, with the input topic. Ctrl-C ends it.
#
#     scripts/kafka.sh            on localhost:9092
#     scripts/kafka.sh 9192       on another port (and the one above it)
#
# The jars are those of the tests (tests/support/kafka-pom.xml). What it has stored stays in target/kafka-PORT; remove that together
# with the service's state folder to begin anew.
set -euo pipefail
cd "$(dirname "$0")/.."

port=${1:-9092}
controller=$((port + 1))
libraries=target/kafka-libs
folder=$PWD/target/kafka-$port

kafka=(java -Xmx700m -cp "$libraries/*")

mkdir -p target
if [ ! -d "$libraries" ]; then
  echo "Fetching Kafka by Maven, once" >&2
  fetched=$(mktemp -d -p target)
  mvn -q -B -f tests/support/kafka-pom.xml dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$PWD/$fetched"
  # Renamed into place whole: the tests take what is there for all of it.
  mv "$fetched" "$libraries"
fi

if [ ! -d "$folder" ]; then
  mkdir -p "$folder.new"
  cat > "$folder.new/server.properties" <<END
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:$controller
listeners=PLAINTEXT://localhost:$port,CONTROLLER://localhost:$controller
advertised.listeners=PLAINTEXT://localhost:$port
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=$folder/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
END
  mv "$folder.new" "$folder"
fi

if [ ! -d "$folder/data" ]; then
  id=$("${kafka[@]}" kafka.tools.StorageTool random-uuid 2>/dev/null)
  "${kafka[@]}" kafka.tools.StorageTool format -t "$id" -c "$folder/server.properties" --standalone >"$folder/format.log" 2>&1
fi

"${kafka[@]}" kafka.Kafka "$folder/server.properties" >"$folder/server.log" 2>&1 &
server=$!
trap 'kill $server 2>/dev/null; wait $server' EXIT

# Waits for the broker by itself. As in production the input topic is not the service's to make.
"${kafka[@]}" org.apache.kafka.tools.TopicCommand --bootstrap-server "localhost:$port" \
  --create --if-not-exists --topic shop.events --partitions 4 >"$folder/topic.log" 2>&1 \
  || { echo "Kafka did not start; $folder/server.log says why" >&2; exit 1; }
echo "Kafka is ready on localhost:$port, with the input topic shop.events. Ctrl-C ends it."
wait $server
