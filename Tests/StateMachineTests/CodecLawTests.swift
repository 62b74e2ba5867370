import RoostWire
import Testing

/// What is true of every encoding: it comes back, nothing shorter passes, and there is only one of it.
@Suite struct CodecLawTests {
  private func check<Value: WireCodable & Equatable>(_ value: Value, _ type: Value.Type) throws {
    let bytes = value.encoded()
    #expect(try Value(decodingAll: bytes) == value)
    for count in 0..<bytes.count {
      #expect(throws: WireError.self) { try Value(decodingAll: Array(bytes[..<count])) }
    }
    #expect(throws: WireError.self) { try Value(decodingAll: bytes + [0]) }
    for bit in 0..<(8 * bytes.count) {
      var flipped = bytes
      flipped[bit / 8] ^= 1 << UInt8(bit % 8)
      // Other bytes are refused or mean something else, which has these bytes and no others.
      guard let other = try? Value(decodingAll: flipped) else { continue }
      #expect(other != value)
      #expect(other.encoded() == flipped)
    }
  }

  @Test(arguments: CommandExamples.commands.map { $0.command })
  func commands(_ command: Command) throws {
    try check(command, Command.self)
    let identity = RequestIdentity.session(
      SessionID(1),
      SequenceNumber(2),
      firstIncomplete: SequenceNumber(1)
    )
    try check(Request(identity, command), Request.self)
    let once = RequestIdentity.oneShot(OneShotID(high: 1, low: 2), expiry: ClusterTime(3))
    #expect(try Request(decodingAll: Request(once, command).encoded()).command == command)
  }

  @Test(arguments: CommandExamples.queries.map { $0.query })
  func queries(_ query: Query) throws { try check(query, Query.self) }

  @Test(arguments: CommandExamples.replies.map { $0.reply })
  func replies(_ reply: Reply) throws { try check(reply, Reply.self) }

  @Test(arguments: CommandExamples.events.map { $0.event })
  func events(_ event: Event) throws { try check(event, Event.self) }

  @Test func anEventOfWatchesNamesOneAtLeastAndNoMoreThanItHolds() {
    let event = Event.watch(WatchEvent(watches: [7, 9, 1 << 40], revision: Revision(3)))
    #expect((try? Event(decodingAll: event.encoded())) == event)
    for count in [UInt32](0...2) + [4, 5, 1 << 29, .max] {
      var bytes = event.encoded()
      bytes.overwrite(at: 1, littleEndian: count)
      #expect((try? Event(decodingAll: bytes)) == nil, "\(count) watches")
    }
  }

  @Test func watches() throws { try check(CommandExamples.watch, WatchRequest.self) }

  @Test(arguments: UInt64(1)...4)
  func randomCommandsComeBack(seed: UInt64) throws {
    var workload = RandomWorkload(seed: seed)
    for _ in 0..<300 {
      let command = workload.command()
      #expect(try Command(decodingAll: command.encoded()) == command)
      let query = workload.query()
      #expect(try Query(decodingAll: query.encoded()) == query)
    }
  }

  @Test func codesAreNeverRenumbered() {
    let first = ErrorCode.allCases.filter { $0.rawValue < 100 }.map { $0.rawValue }
    #expect(first == Array(1...35))
    #expect(ErrorCode.timedOut.rawValue == 102 && ErrorCode.fenced.rawValue == 14)
    let unknown = ErrorCode.allCases.filter { $0.execution == .unknown }
    #expect(unknown == [.stale, .timedOut, .leadershipLost])
    for code in ErrorCode.allCases { #expect(code.sentence.count > 15) }
  }

  @Test func nestingHasABottom() throws {
    var operation = Operation.get(Get(key: [1]))
    for _ in 0..<CommandLimits.nestingDepth {
      operation = .transaction(Transaction(then: [operation]))
    }
    #expect(try Operation(decodingAll: operation.encoded()) == operation)
    let deeper = Operation.transaction(Transaction(then: [operation]))
    #expect(throws: WireError.self) { try Operation(decodingAll: deeper.encoded()) }
  }

  @Test(arguments: [UInt8(5), 6])
  func aHugeCountAllocatesNothing(kind: UInt8) {
    var bytes: [UInt8] = [0, 0, kind == 5 ? 8 : 33]
    bytes += [0xFF, 0xFF, 0xFF, 0xFF]
    #expect(throws: WireError.self) { try Reply(decodingAll: bytes) }
  }
}
