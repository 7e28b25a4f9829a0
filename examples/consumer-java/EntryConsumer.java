import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * Gives a coupon to each customer who enters a segment: once, whatever is killed and when.
 *
 * <pre>mvn -q compile exec:java -Dexec.args="localhost:9092 segment-entries coupons coupons.tsv"</pre>
 *
 * <p>How it does not repeat itself: segmentd writes each entry once, and a record's {@code messageId} is the same whenever
 * it is read. A consumer that was killed after the effect and before its commit sees the record again; therefore the
 * effect is kept together with the {@code messageId}, here as one line of a ledger on disk, and the offset is committed
 * after that, never before.
 *
 * <p>The ledger stands for your database: a row with the {@code messageId} as its key, in one transaction with the
 * effect. Where the effect is a call of somebody else's, hand the {@code messageId} over as the idempotency key.
 */
public final class EntryConsumer {
    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] arguments) throws IOException {
        String bootstrap = arguments[0], topic = arguments[1], group = arguments[2], path = arguments[3];
        Properties settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("group.id", group);
        settings.put("isolation.level", "read_committed"); // what was aborted never happened
        settings.put("enable.auto.commit", "false"); // committing is ours
        settings.put("auto.offset.reset", "earliest");
        settings.put("session.timeout.ms", "6000"); // how soon its successor takes over from one that was killed
        settings.put("key.deserializer", StringDeserializer.class.getName());
        settings.put("value.deserializer", StringDeserializer.class.getName());
        try (Ledger ledger = new Ledger(path); KafkaConsumer<String, String> consumer = new KafkaConsumer<>(settings)) {
            Runtime.getRuntime().addShutdownHook(new Thread(consumer::wakeup));
            consumer.subscribe(List.of(topic));
            while (true) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(500))) {
                    handle(record.value(), ledger);
                    consumer.commitSync(Map.of(
                            new TopicPartition(record.topic(), record.partition()), new OffsetAndMetadata(record.offset() + 1)));
                }
            }
        } catch (WakeupException stopped) {
            System.out.println("stopped");
        }
    }

    private static void handle(String value, Ledger ledger) throws IOException {
        JsonNode call = JSON.readTree(value);
        // The topic also has announcements ("Audience Expiring"), and what later versions may add.
        if (!call.get("event").asText().equals("Audience Entered")) {
            return;
        }
        JsonNode entry = call.get("properties");
        String messageId = call.get("messageId").asText();
        boolean first = ledger.giveCoupon(messageId, entry.get("customer").asText(), entry.get("segment").asText());
        System.out.println((first ? "given " : "again ") + messageId);
    }

    /** One line a coupon. A line that a kill has cut short was not given, and is cut off. */
    private static final class Ledger implements AutoCloseable {
        private final RandomAccessFile file;
        private final Set<String> given = new HashSet<>();

        Ledger(String path) throws IOException {
            file = new RandomAccessFile(path, "rw");
            byte[] bytes = new byte[(int) file.length()];
            file.readFully(bytes);
            int whole = 0;
            for (int i = 0; i < bytes.length; i++) {
                if (bytes[i] == '\n') {
                    given.add(new String(bytes, whole, i - whole, StandardCharsets.UTF_8).split("\t", 2)[0]);
                    whole = i + 1;
                }
            }
            file.setLength(whole);
            file.seek(whole);
        }

        /** True the first time; false: it was given already. */
        boolean giveCoupon(String messageId, String customer, String segment) throws IOException {
            if (!given.add(messageId)) {
                return false;
            }
            String line = messageId + "\t" + JSON.writeValueAsString(customer) + "\t" + segment + "\n";
            file.write(line.getBytes(StandardCharsets.UTF_8));
            file.getFD().sync();
            return true;
        }

        @Override
        public void close() throws IOException {
            file.close();
        }
    }
}
