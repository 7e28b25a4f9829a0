//! The only unsafe code: calls of librdkafka that rdkafka does not make, or makes in a way that loses what we need.
//!
//! | call | why not rdkafka |
//! | --- | --- |
//! | `rd_kafka_consume_batch_queue` | a third of the cost a record |
//! | `rd_kafka_get_watermark_offsets` | the end of a partition as the last fetch saw it, without asking the broker |
//! | rebalance callback | the batch call serves callbacks only: with rdkafka's events it would drop rebalances |
//! | generation of the group metadata | rdkafka hides it, and a negative one switches fencing off |
//! | `rd_kafka_send_offsets_to_transaction` | takes that metadata |
//! | `rd_kafka_flush` | rdkafka flushes for no time and polls, which librdkafka may never notice |
//! | `rd_kafka_DescribeTopics` | rdkafka has no call that tells the id of a topic |
//!
//! **Invariant:** every pointer is owned by exactly one value here and freed in its `Drop`; a [`Message`] keeps the
//! client alive that it came from. No callback unwinds into C: they only push to a mutex or log.

#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::client::{Client, ClientContext};
use rdkafka::config::ClientConfig;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka_sys::{self as sys, types::RDKafkaType};

use super::error::{Call, Failure};

/// Who we are to the group's coordinator: member, generation. What a transaction is fenced by (KIP-447).
pub struct GroupMetadata(NonNull<sys::rd_kafka_consumer_group_metadata_t>);

// SAFETY: librdkafka never changes the object after its creation; it is only read and, once, destroyed.
unsafe impl Send for GroupMetadata {}
// SAFETY: as above; reading it from several threads at once is reading constants.
unsafe impl Sync for GroupMetadata {}

impl GroupMetadata {
    /// −1: not a member. Offsets sent with it are accepted without any check.
    pub fn generation(&self) -> i32 {
        // SAFETY: the pointer is valid for as long as `self`.
        unsafe { sys::rd_kafka_consumer_group_metadata_generation_id(self.0.as_ptr()) }
    }

    pub fn member(&self) -> String {
        // SAFETY: the pointer is valid; the returned text lives as long as the object and is copied here.
        unsafe { text(sys::rd_kafka_consumer_group_metadata_member_id(self.0.as_ptr())) }
    }
}

impl Drop for GroupMetadata {
    fn drop(&mut self) {
        // SAFETY: created by librdkafka, owned by `self` alone, not used afterwards.
        unsafe { sys::rd_kafka_consumer_group_metadata_destroy(self.0.as_ptr()) }
    }
}

/// One rebalance, as the callback saw it.
pub struct RawRebalance {
    pub assigned: bool,
    /// (topic, partition) as the group assigned or revoked them.
    pub partitions: Vec<(String, i32)>,
    /// Captured inside the callback. `None`: not a member, or the assignment is lost.
    pub metadata: Option<GroupMetadata>,
}

/// What the callbacks of one consumer write and its polling thread reads.
#[derive(Default)]
pub struct Callbacks {
    rebalances: Mutex<Vec<RawRebalance>>,
    /// While closing, librdkafka waits inside the call for each revocation to be answered: the callback does it.
    closing: AtomicBool,
}

impl ClientContext for Callbacks {}

impl Callbacks {
    fn push(&self, rebalance: RawRebalance) {
        self.rebalances.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(rebalance);
    }
}

/// The native consumer of a group. One thread polls it; records may be read and dropped on any thread.
pub struct NativeConsumer {
    client: Arc<Client<Callbacks>>,
    queue: NonNull<sys::rd_kafka_queue_t>,
    batch: Vec<*mut sys::rd_kafka_message_t>,
}

// SAFETY: librdkafka's handles may be used from any thread; `batch` is scratch space that `&mut self` guards.
unsafe impl Send for NativeConsumer {}

impl NativeConsumer {
    /// Creates the client; it connects in the background. At most `batch` records come from one call of [`Self::poll`].
    pub fn new(config: &ClientConfig, batch: usize) -> Result<NativeConsumer, Failure> {
        let failed = |e| Failure::new(Call::Connect, &e);
        let native = config.create_native_config().map_err(failed)?;
        // SAFETY: the configuration is valid and not yet given to a client; both callbacks have the required types.
        unsafe {
            sys::rd_kafka_conf_set_rebalance_cb(native.ptr(), Some(on_rebalance));
            sys::rd_kafka_conf_set_log_cb(native.ptr(), Some(on_log));
        }
        let client = Client::new(config, native, RDKafkaType::RD_KAFKA_CONSUMER, Callbacks::default()).map_err(failed)?;
        // SAFETY: the client is a valid consumer with a group; the queue it returns is ours to destroy.
        let queue = unsafe {
            sys::rd_kafka_poll_set_consumer(client.native_ptr());
            sys::rd_kafka_queue_get_consumer(client.native_ptr())
        };
        let queue =
            NonNull::new(queue).ok_or_else(|| Failure::plain(Call::Connect, RDKafkaErrorCode::UnknownGroup, "no group.id".into()))?;
        Ok(NativeConsumer { client: Arc::new(client), queue, batch: vec![ptr::null_mut(); batch] })
    }

    pub fn client(&self) -> &Client<Callbacks> {
        &self.client
    }

    pub fn subscribe(&self, topics: &[&str]) -> Result<(), Failure> {
        let mut list = TopicPartitionList::new();
        for topic in topics {
            list.add_topic_unassigned(topic);
        }
        // SAFETY: client and list are valid; librdkafka copies the list.
        check(Call::Consume, unsafe { sys::rd_kafka_subscribe(self.client.native_ptr(), list.ptr()) })
    }

    /// Waits up to `wait` for records, appends them to `records`, and returns the rebalances that happened meanwhile.
    pub fn poll(&mut self, wait: Duration, records: &mut Vec<Message>) -> Vec<RawRebalance> {
        let millis = c_int::try_from(wait.as_millis()).unwrap_or(c_int::MAX);
        // SAFETY: the queue is valid and the array holds `batch.len()` pointers, all of which may be overwritten.
        let count = unsafe { sys::rd_kafka_consume_batch_queue(self.queue.as_ptr(), millis, self.batch.as_mut_ptr(), self.batch.len()) };
        let count = usize::try_from(count).unwrap_or(0);
        let client = &self.client;
        records.extend(self.batch[..count].iter().filter_map(|raw| NonNull::new(*raw)).map(|raw| Message { raw, _client: client.clone() }));
        std::mem::take(&mut *self.client.context().rebalances.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    /// Adds partitions to what is fetched, at the offsets in the list. Empty: only answers a rebalance.
    pub fn incremental_assign(&self, list: &TopicPartitionList) -> Result<(), Failure> {
        // SAFETY: client and list are valid; librdkafka copies the list and returns an error that we own, or null.
        unsafe { check_error(Call::Consume, sys::rd_kafka_incremental_assign(self.client.native_ptr(), list.ptr())) }
    }

    /// Takes partitions away from what is fetched. Empty: only answers a rebalance.
    pub fn incremental_unassign(&self, list: &TopicPartitionList) -> Result<(), Failure> {
        // SAFETY: as in `incremental_assign`.
        unsafe { check_error(Call::Consume, sys::rd_kafka_incremental_unassign(self.client.native_ptr(), list.ptr())) }
    }

    pub fn pause(&self, list: &TopicPartitionList) -> Result<(), Failure> {
        // SAFETY: client and list are valid; the call writes each partition's result into the list, which is ours.
        check(Call::Consume, unsafe { sys::rd_kafka_pause_partitions(self.client.native_ptr(), list.ptr()) })
    }

    pub fn resume(&self, list: &TopicPartitionList) -> Result<(), Failure> {
        // SAFETY: as in `pause`.
        check(Call::Consume, unsafe { sys::rd_kafka_resume_partitions(self.client.native_ptr(), list.ptr()) })
    }

    /// The next offset that the application will see, and the end of the partition as the last fetch saw it. Asks no
    /// broker. `None` where nothing has been seen yet.
    pub fn position_and_end(&self, topic: &str, partition: i32) -> (Option<i64>, Option<i64>) {
        let Ok(name) = CString::new(topic) else { return (None, None) };
        let (mut low, mut high) = (-1, -1);
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition(topic, partition);
        // SAFETY: client, name and list are valid; both calls only write to the results that they are given.
        unsafe {
            sys::rd_kafka_get_watermark_offsets(self.client.native_ptr(), name.as_ptr(), partition, &mut low, &mut high);
            sys::rd_kafka_position(self.client.native_ptr(), list.ptr());
        }
        let position = list.find_partition(topic, partition).and_then(|element| element.offset().to_raw());
        (position.filter(|offset| *offset >= 0), Some(high).filter(|offset| *offset >= 0))
    }

    /// Leaves the group. Blocks until the coordinator has been told, or cannot be.
    pub fn close(&self) {
        self.client.context().closing.store(true, Ordering::SeqCst);
        // SAFETY: the client is a valid consumer; closing twice is an error that librdkafka reports and we ignore.
        unsafe { sys::rd_kafka_consumer_close(self.client.native_ptr()) };
    }
}

impl Drop for NativeConsumer {
    fn drop(&mut self) {
        self.close();
        // SAFETY: the queue came from `rd_kafka_queue_get_consumer`, is destroyed once, before its client.
        unsafe { sys::rd_kafka_queue_destroy(self.queue.as_ptr()) }
    }
}

/// A record, or an error of a partition; where librdkafka put it, without a copy.
pub struct Message {
    raw: NonNull<sys::rd_kafka_message_t>,
    /// The client must be destroyed after the last of its messages.
    _client: Arc<Client<Callbacks>>,
}

// SAFETY: a fetched message is owned by the application and may be read and destroyed on any thread.
unsafe impl Send for Message {}

impl Message {
    fn raw(&self) -> &sys::rd_kafka_message_t {
        // SAFETY: the pointer is valid until `drop`, and nothing else writes to the message.
        unsafe { self.raw.as_ref() }
    }

    /// `None` for a record.
    pub fn error(&self) -> Option<RDKafkaErrorCode> {
        let code = RDKafkaErrorCode::from(self.raw().err);
        (code != RDKafkaErrorCode::NoError).then_some(code)
    }

    pub fn topic(&self) -> &str {
        let topic = self.raw().rkt;
        if topic.is_null() {
            return "";
        }
        // SAFETY: the message holds a reference to its topic, whose name is a constant C string.
        unsafe { CStr::from_ptr(sys::rd_kafka_topic_name(topic)) }.to_str().unwrap_or("")
    }

    pub fn partition(&self) -> i32 {
        self.raw().partition
    }

    pub fn offset(&self) -> i64 {
        self.raw().offset
    }

    pub fn key(&self) -> Option<&[u8]> {
        // SAFETY: pointer and length come from librdkafka and live as long as the message.
        unsafe { bytes(self.raw().key, self.raw().key_len) }
    }

    /// `None`: a tombstone. Of an error: its text.
    pub fn payload(&self) -> Option<&[u8]> {
        // SAFETY: as in `key`.
        unsafe { bytes(self.raw().payload, self.raw().len) }
    }

    /// Milliseconds since 1970; `None` if the record has none.
    pub fn timestamp(&self) -> Option<i64> {
        let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is valid, `kind` is written before it is read.
        let millis = unsafe { sys::rd_kafka_message_timestamp(self.raw.as_ptr(), &mut kind) };
        (kind != sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && millis >= 0).then_some(millis)
    }

    /// Name and value of each header, in order; a name that is not UTF-8 is left out.
    pub fn headers(&self) -> Vec<(&str, &[u8])> {
        let mut headers = ptr::null_mut();
        // SAFETY: the message is valid; the headers stay its property and live as long as it does.
        let code = unsafe { sys::rd_kafka_message_headers(self.raw.as_ptr(), &mut headers) };
        if code != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Vec::new();
        }
        // SAFETY: `headers` was just returned as valid; indices run until the call reports the end.
        (0..).map_while(|index| unsafe { header(headers, index) }).flatten().collect()
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        // SAFETY: returned to us by the batch call, owned by `self` alone, not used afterwards.
        unsafe { sys::rd_kafka_message_destroy(self.raw.as_ptr()) }
    }
}

/// Sends what is queued without waiting for more, until nothing is in flight or `wait` is over. Neither is an error; what
/// was not delivered is reported by the next poll.
pub fn flush<C: ProducerContext>(producer: &BaseProducer<C>, wait: Duration) {
    let millis = c_int::try_from(wait.as_millis()).unwrap_or(c_int::MAX);
    // SAFETY: the client is valid for the call, which only waits.
    unsafe { sys::rd_kafka_flush(producer.client().native_ptr(), millis) };
}

/// Adds the offsets to the producer's open transaction, fenced by `metadata`. Records must have been delivered before.
pub fn send_offsets<C: ProducerContext>(
    producer: &BaseProducer<C>,
    offsets: &TopicPartitionList,
    metadata: &GroupMetadata,
    wait: Duration,
) -> Result<(), Failure> {
    let millis = c_int::try_from(wait.as_millis()).unwrap_or(c_int::MAX);
    let client = producer.client().native_ptr();
    // SAFETY: all three objects are valid for the call, which copies what it keeps and returns an error we own, or null.
    unsafe { check_error(Call::Offsets, sys::rd_kafka_send_offsets_to_transaction(client, offsets.ptr(), metadata.0.as_ptr(), millis)) }
}

/// The id of a topic, which no other topic ever has, also not a later one of the same name. `None`: there is no such topic.
pub fn topic_id<C: ClientContext>(client: &Client<C>, topic: &str, wait: Duration) -> Result<Option<String>, Failure> {
    let refused = |code: RDKafkaErrorCode| Failure::plain(Call::Admin, code, code.to_string());
    let name = CString::new(topic).map_err(|_| refused(RDKafkaErrorCode::InvalidTopic))?;
    let mut names = [name.as_ptr()];
    let millis = c_int::try_from(wait.as_millis()).unwrap_or(c_int::MAX);
    // SAFETY: client and name are valid, and the collection copies the name. Queue and collection are destroyed once, after
    // the last use; an answer that comes later finds its queue gone, which librdkafka expects.
    unsafe {
        let queue = sys::rd_kafka_queue_new(client.native_ptr());
        let asked = sys::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
        sys::rd_kafka_DescribeTopics(client.native_ptr(), asked, ptr::null(), queue);
        let answer = sys::rd_kafka_queue_poll(queue, millis);
        let described = if answer.is_null() { Err(RDKafkaErrorCode::OperationTimedOut) } else { described_id(answer) };
        sys::rd_kafka_event_destroy(answer);
        sys::rd_kafka_TopicCollection_destroy(asked);
        sys::rd_kafka_queue_destroy(queue);
        match described {
            Ok(id) => Ok(Some(id)),
            Err(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => Ok(None),
            Err(code) => Err(refused(code)),
        }
    }
}

/// SAFETY of callers: `answer` is a valid event that answers `rd_kafka_DescribeTopics` for one topic.
unsafe fn described_id(answer: *mut sys::rd_kafka_event_t) -> Result<String, RDKafkaErrorCode> {
    let checked = |code| match RDKafkaErrorCode::from(code) {
        RDKafkaErrorCode::NoError => Ok(()),
        code => Err(code),
    };
    let mut count = 0;
    // SAFETY: the event is valid; result, descriptions, error and id belong to it, and the text is copied.
    unsafe {
        checked(sys::rd_kafka_event_error(answer))?;
        let result = sys::rd_kafka_event_DescribeTopics_result(answer);
        let topics = if result.is_null() { ptr::null_mut() } else { sys::rd_kafka_DescribeTopics_result_topics(result, &mut count) };
        if topics.is_null() || count == 0 {
            return Err(RDKafkaErrorCode::Fail);
        }
        checked(sys::rd_kafka_error_code(sys::rd_kafka_TopicDescription_error(*topics)))?;
        Ok(text(sys::rd_kafka_Uuid_base64str(sys::rd_kafka_TopicDescription_topic_id(*topics))))
    }
}

/// SAFETY of callers: `headers` valid, and outliving `'a`. Outer `None`: no more headers; inner: a name that is no text.
unsafe fn header<'a>(headers: *const sys::rd_kafka_headers_t, index: usize) -> Option<Option<(&'a str, &'a [u8])>> {
    let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
    // SAFETY: the caller vouches for `headers`; the three results are written when the call succeeds.
    let code = unsafe { sys::rd_kafka_header_get_all(headers, index, &mut name, &mut value, &mut size) };
    if code != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        return None;
    }
    // SAFETY: name is a C string, value has `size` bytes; both belong to the headers.
    Some(unsafe { CStr::from_ptr(name).to_str().ok().map(|name| (name, bytes(value, size).unwrap_or(&[]))) })
}

unsafe extern "C" fn on_rebalance(
    client: *mut sys::rd_kafka_t,
    code: sys::rd_kafka_resp_err_t,
    partitions: *mut sys::rd_kafka_topic_partition_list_t,
    opaque: *mut c_void,
) {
    // SAFETY: rdkafka sets the opaque pointer to the context, which lives as long as the client that calls us.
    let callbacks = unsafe { &*opaque.cast::<Callbacks>() };
    if callbacks.closing.load(Ordering::SeqCst) {
        // SAFETY: both pointers are librdkafka's own arguments; a terminating consumer takes this as "unassign all".
        let error = unsafe { sys::rd_kafka_incremental_unassign(client, partitions) };
        // SAFETY: the error is ours, or null.
        drop(unsafe { check_error(Call::Consume, error) });
        return;
    }
    // SAFETY: `client` is the consumer that runs this callback, `partitions` its argument.
    callbacks.push(unsafe {
        RawRebalance {
            assigned: code == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS,
            partitions: list_of(partitions),
            metadata: membership(client),
        }
    });
}

/// SAFETY of callers: `client` is a valid consumer.
unsafe fn membership(client: *mut sys::rd_kafka_t) -> Option<GroupMetadata> {
    // SAFETY: valid by the caller's word; the metadata returned is ours.
    let metadata = unsafe { GroupMetadata(NonNull::new(sys::rd_kafka_consumer_group_metadata(client))?) };
    // SAFETY: valid by the caller's word.
    let lost = unsafe { sys::rd_kafka_assignment_lost(client) } != 0;
    (!lost && metadata.generation() >= 0 && !metadata.member().is_empty()).then_some(metadata)
}

/// SAFETY of callers: `list` is null or a valid list.
unsafe fn list_of(list: *const sys::rd_kafka_topic_partition_list_t) -> Vec<(String, i32)> {
    // SAFETY: null or valid by the caller's word.
    let Some(list) = (unsafe { list.as_ref() }) else { return Vec::new() };
    let count = usize::try_from(list.cnt).unwrap_or(0);
    // SAFETY: the array has `cnt` elements, each with a C string as its topic.
    (0..count).map(|i| unsafe { &*list.elems.add(i) }).map(|e| (unsafe { text(e.topic) }, e.partition)).collect()
}

unsafe extern "C" fn on_log(_: *const sys::rd_kafka_t, level: c_int, facility: *const c_char, line: *const c_char) {
    // SAFETY: librdkafka passes C strings that live for the call.
    let (facility, line) = unsafe { (text(facility), text(line)) };
    super::settings::log(level, &facility, &line);
}

/// SAFETY of callers: `text` is null or a valid C string.
unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: valid by the caller's word.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// SAFETY of callers: `start` is null or has `size` bytes that live for `'a`.
unsafe fn bytes<'a>(start: *const c_void, size: usize) -> Option<&'a [u8]> {
    // SAFETY: not null, and valid by the caller's word.
    (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start.cast(), size) })
}

fn check(call: Call, code: sys::rd_kafka_resp_err_t) -> Result<(), Failure> {
    match RDKafkaErrorCode::from(code) {
        RDKafkaErrorCode::NoError => Ok(()),
        code => Err(Failure::plain(call, code, code.to_string())),
    }
}

/// SAFETY of callers: `error` is null, or an error object that nobody else owns.
unsafe fn check_error(call: Call, error: *mut sys::rd_kafka_error_t) -> Result<(), Failure> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: not null and owned by us; it is read, then destroyed once.
    unsafe {
        let failure = Failure {
            call,
            code: sys::rd_kafka_error_code(error).into(),
            fatal: sys::rd_kafka_error_is_fatal(error) != 0,
            retriable: sys::rd_kafka_error_is_retriable(error) != 0,
            abortable: sys::rd_kafka_error_txn_requires_abort(error) != 0,
            text: text(sys::rd_kafka_error_string(error)),
        };
        sys::rd_kafka_error_destroy(error);
        Err(failure)
    }
}
