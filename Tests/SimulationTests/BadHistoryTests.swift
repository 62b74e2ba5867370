@testable import RoostClientCore
import RoostRaft
@testable import RoostSimulation
import RoostStateMachine
import RoostWire
import Testing

/// The judges of what clients are told refuse histories that must never be.
@Suite struct BadHistoryTests {
  private static let millisecond: UInt64 = 1_000_000

  /// A log of puts without a session, an entry for each, followed by a judge.
  private struct Log {
    var judge = ClusterJudge(ReplicatedState(), judgesTime: false)
    var count: UInt64 = 0

    mutating func add(_ requests: Request...) -> ClusterJudge.Finding? {
      count += 1
      return judge.didApply(entry(requests, at: count), in: Term(1), at: count * 1000)
    }

    func entry(_ requests: [Request], at index: UInt64) -> Entry {
      var payload: [UInt8] = []
      for request in requests { RequestBatch.append(request.encoded().span, to: &payload) }
      return Entry(
        term: Term(1),
        index: LogIndex(index),
        time: ClusterTime(index * millisecond),
        kind: .requests,
        payload: payload
      )
    }
  }

  private static func name(_ number: UInt64) -> RequestIdentity {
    .oneShot(OneShotID(high: 0, low: number), expiry: ClusterTime(1_000_000_000))
  }

  private static func put(_ key: String, _ number: UInt64) -> Operation {
    .put(Put(key: Array(key.utf8), value: Array("\(number):".utf8)))
  }

  private static func request(_ key: String, _ number: UInt64) -> Request {
    Request(name(number), .operation(put(key, number)))
  }

  /// Three puts of key a, then one of key b.
  private static func log() -> Log {
    var log = Log()
    for number in 1...3 as ClosedRange<UInt64> { #expect(log.add(request("a", number)) == nil) }
    #expect(log.add(request("b", 4)) == nil)
    return log
  }

  private static func call(
    _ kind: CallKind,
    _ result: CallResult?,
    as identity: RequestIdentity? = nil,
    during times: ClosedRange<UInt64> = 0...1_000_000
  ) -> RecordedCall {
    var call = RecordedCall(client: 0, kind: kind, startedAt: times.lowerBound)
    call.identity = identity
    call.result = result
    call.endedAt = times.upperBound
    return call
  }

  // MARK: Watches

  private static func watch(from start: UInt64 = 1) -> (RecordedWatch, ChangeRecord) {
    let request = WatchRequest(watch: 1, range: .everything, start: Revision(start))
    let watch = RecordedWatch(client: 0, generation: 0, request: request, known: .zero)
    return (watch, log().judge.record)
  }

  @Test func aWatchThatIsToldEverythingInOrderIsBelieved() {
    var (watch, record) = Self.watch()
    #expect(watch.didStart(at: Revision(1), in: record) == nil)
    #expect(watch.wasTold([record.changes[0]], through: Revision(1), in: record) == nil)
    let rest = Array(record.changes[1...])
    #expect(watch.wasTold(rest, through: Revision(4), in: record) == nil)
  }

  @Test(arguments: [[1], [0, 2], [1, 0], [0, 0], [0, 1, 0]])
  func aWatchThatSkipsRepeatsOrGoesBackIsRefused(places: [Int]) {
    var (watch, record) = Self.watch()
    #expect(watch.didStart(at: Revision(1), in: record) == nil)
    let told = places.map { record.changes[$0] }
    #expect(watch.wasTold(told, through: nil, in: record) != nil)
  }

  @Test func aWatchThatSaysToHaveToldWhatItDidNotIsRefused() {
    var (watch, record) = Self.watch()
    #expect(watch.didStart(at: Revision(1), in: record) == nil)
    #expect(watch.wasTold([record.changes[0]], through: Revision(2), in: record) != nil)
  }

  @Test func aWatchThatTellsAnotherValueIsRefused() {
    var (watch, record) = Self.watch()
    #expect(watch.didStart(at: Revision(1), in: record) == nil)
    let entry = record.changes[0].entry
    let other = KeyValue(
      key: entry.key,
      value: [1],
      revisions: (entry.created, entry.modified),
      version: entry.version
    )
    let change = WatchEvent.Change(isRemoval: false, entry: other)
    #expect(watch.wasTold([change], through: nil, in: record) != nil)
  }

  @Test func aWatchThatBeginsElsewhereThanItWasWantedIsRefused() {
    var (watch, record) = Self.watch(from: 2)
    #expect(watch.didStart(at: Revision(3), in: record) != nil)
    #expect(watch.didStart(at: Revision(2), in: record) == nil)
    let now = WatchRequest(watch: 1, range: .everything)
    var late = RecordedWatch(client: 0, generation: 0, request: now, known: Revision(3))
    #expect(late.didStart(at: Revision(3), in: record) != nil, "its client knew that revision")
    #expect(late.didStart(at: Revision(4), in: record) == nil)
  }

  // MARK: Answers

  @Test func anAnswerThatTheLogDoesNotGiveIsRefused() throws {
    let judge = Self.log().judge
    let kind = CallKind.command(.operation(Self.put("a", 2)))
    let reply = try #require(judge.execution(of: Self.name(2))).reply
    #expect(judge.judge(Self.call(kind, .answered(reply), as: Self.name(2))) == nil)
    let other = try #require(judge.execution(of: Self.name(3))).reply
    #expect(judge.judge(Self.call(kind, .answered(other), as: Self.name(2)))?.kind == "other reply")
    let lost = judge.judge(Self.call(kind, .answered(reply), as: Self.name(9)))
    #expect(lost?.kind == "acknowledged and lost")
    let refused = Reply.failure(Failure(.busy)).encoded()
    let denied = judge.judge(Self.call(kind, .answered(refused), as: Self.name(2)))
    #expect(denied?.kind == "other reply", "it is told that nothing happened")
  }

  @Test func aReplyThatWasForgottenTooEarlyIsRefused() {
    let stale = Reply.failure(Failure(.stale)).encoded()
    let call = Self.call(.command(.operation(Self.put("a", 2))), .answered(stale), as: Self.name(2))
    #expect(Self.log().judge.judge(call)?.kind == "forgotten")
  }

  @Test func whatIsSaidNotToHaveHappenedAndDidIsRefused() {
    func failure(_ mayHaveExecuted: Bool) -> CallResult {
      .failed(
        CallFailure(
          reason: .timedOut,
          mayHaveExecuted: mayHaveExecuted,
          endpoints: [],
          request: nil
        )
      )
    }
    let judge = Self.log().judge
    let kind = CallKind.command(.operation(Self.put("a", 2)))
    let told = judge.judge(Self.call(kind, failure(false), as: Self.name(2)))
    #expect(told?.kind == "said not to have happened")
    #expect(judge.judge(Self.call(kind, failure(true), as: Self.name(2))) == nil)
    #expect(judge.judge(Self.call(kind, failure(false), as: Self.name(9))) == nil)
  }

  #if PLANTED_BUGS
  @Test func aRequestThatRunsTwiceIsRefused() {
    var log = Log(
      judge: ClusterJudge(ReplicatedState().planted(.oneShotRunsTwice), judgesTime: false)
    )
    #expect(log.add(Self.request("a", 1)) == nil)
    #expect(log.add(Self.request("a", 1)) != nil, "the second reply is another")
    var sound = Self.log()
    #expect(sound.add(Self.request("a", 1)) == nil, "the repeated request got the first reply")
  }
  #endif

  @Test func anAcquireIsExcusedOnlyWhileItWaits() {
    let acquire = Acquire([Acquire.Want([1])], wait: .max)
    let kind = CallKind.command(.acquire(acquire))
    let failure = CallFailure(
      reason: .timedOut,
      mayHaveExecuted: true,
      endpoints: [],
      request: nil
    )
    let judge = Self.log().judge
    #expect(!judge.waited(Self.call(kind, .failed(failure), as: Self.name(9)), failure))
    let late = 1000 + 3_000_000_000 as UInt64
    let known = Self.call(kind, .failed(failure), as: Self.name(1), during: 0...late)
    #expect(!judge.waited(known, failure), "it had its answer for three seconds")
    let put = CallKind.command(.operation(Self.put("a", 1)))
    #expect(!judge.waited(Self.call(put, .failed(failure), as: Self.name(1)), failure))
  }

  // MARK: Reads

  @Test func aReadOfWhatNeverWasIsRefused() throws {
    let record = Self.log().judge.record
    let get = CallKind.query(.serializable, .get(Get(key: Array("a".utf8))))
    func reads(_ entry: KeyValue?, at revision: UInt64) -> String? {
      let reply = Reply.value(revision: Revision(revision), entry).encoded()
      return record.judge(Self.call(get, .answered(reply)))
    }
    let (first, second) = (record.changes[0].entry, record.changes[1].entry)
    #expect(reads(first, at: 1) == nil, "old, and true")
    #expect(reads(second, at: 1) != nil)
    #expect(reads(first, at: 2) != nil)
    #expect(reads(nil, at: 1) != nil)
  }

  @Test func aPageOrACountThatNeverWasIsRefused() {
    let record = Self.log().judge.record
    var query = RangeQuery(.everything)
    func reads(_ entries: [KeyValue], _ count: UInt64, at revision: UInt64) -> String? {
      let page = Page(revision: Revision(revision), count: count, next: nil, entries: entries)
      let kind = CallKind.query(.serializable, .range(query))
      return record.judge(Self.call(kind, .answered(Reply.page(page).encoded())))
    }
    let (a, b) = (record.changes[2].entry, record.changes[3].entry)
    #expect(reads([a, b], 2, at: 4) == nil)
    #expect(reads([a], 1, at: 3) == nil)
    #expect(reads([a], 1, at: 4) != nil)
    #expect(reads([a, b], 2, at: 3) != nil)
    query.countOnly = true
    #expect(reads([], 2, at: 4) == nil)
    #expect(reads([], 1, at: 4) != nil)
  }

  // MARK: Nodes

  @Test func aStateThatDiffersIsRefused() {
    let judge = Self.log().judge
    let hash = judge.oracle.stateHash
    #expect(judge.hasState(hash, at: LogIndex(4)) == nil)
    #expect(judge.hasState(hash ^ 1, at: LogIndex(4)) != nil)
    #expect(judge.hasState(hash, at: LogIndex(3)) != nil, "that is the state of another index")
  }

  @Test func aLogThatDiffersOrHasAGapIsRefused() {
    var log = Self.log()
    let same = log.entry([Self.request("a", 2)], at: 2)
    #expect(log.judge.didApply(same, in: Term(1), at: 1) == nil)
    let other = log.entry([Self.request("a", 7)], at: 2)
    #expect(log.judge.didApply(other, in: Term(1), at: 1)?.kind == "logs differ")
    let later = log.entry([Self.request("a", 7)], at: 9)
    #expect(log.judge.didApply(later, in: Term(1), at: 1)?.kind == "gap")
  }

  @Test func twoLeadersInATermAreRefused() {
    var judge = Self.log().judge
    #expect(judge.leads(NodeID(1), in: Term(3)) == nil)
    #expect(judge.leads(NodeID(1), in: Term(3)) == nil)
    #expect(judge.leads(NodeID(2), in: Term(4)) == nil)
    #expect(judge.leads(NodeID(2), in: Term(3)) != nil)
  }

  @Test func memoryAboveItsBoundIsRefused() {
    let bounds = MemoryJudge.Bounds(uncommittedBytes: 100, watches: 2)
    #expect(MemoryJudge.judge(MemoryJudge.Load(uncommittedBytes: 100, watches: 2), bounds) == nil)
    #expect(MemoryJudge.judge(MemoryJudge.Load(uncommittedBytes: 101), bounds) != nil)
    #expect(MemoryJudge.judge(MemoryJudge.Load(watches: 3), bounds) != nil)
    #expect(MemoryJudge.judge(MemoryJudge.Load(unsentEventBytes: 6 << 20), bounds) != nil)
    #expect(MemoryJudge.judge(MemoryJudge.Load(unsentBytes: 17 << 20), bounds) != nil)
    #expect(MemoryJudge.judge(MemoryJudge.Load(owedAnswers: 2000), bounds) != nil)
  }
}
