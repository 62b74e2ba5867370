/// What a frame carries; a number is never used again for something else.
@usableFromInline
package enum FrameKind: UInt8, Sendable {
  /// A client's mutating request; the body is a request as the log will hold it.
  case request = 1
  /// A client's read; the body is a read level and a query.
  case query = 2
  /// The answer to any other frame of a client; the body is a reply, to a status a node status.
  case reply = 3
  /// Asks a node how it is; the body is empty.
  case status = 4
  /// Begins a watch; the body is a `WatchRequest`.
  case watch = 5
  /// Ends a watch; the body is its number.
  case cancelWatch = 6
  /// What a node tells without being asked at that moment; the body is an `Event`.
  case event = 7
  /// An operator's request about the cluster itself; the body is an `AdminRequest`.
  case admin = 8

  /// A message of the consensus protocol, between members.
  case consensus = 16
  /// A request or a query that a member hands on to the leader.
  case forward = 17
  /// The leader's answer to it.
  case forwardReply = 18
  /// An operator's request that a member hands on to the leader; a forward reply answers it.
  case forwardAdmin = 19
}

/// The first 20 bytes of every frame; the body follows.
///
///     offset  size  field
///     0       4     checksum     CRC-32C of everything behind it: bytes 4..<20 and the body
///     4       4     length       of the body
///     8       1     kind
///     9       1     flags        0
///     10      2     reserved     0
///     12      8     correlation  the asker's number; its answer carries the same
///
/// A frame that is too long or whose checksum fails ends its connection: nothing behind it can be trusted.
package struct FrameHeader: Equatable, Sendable {
  package static let byteCount = 20
  /// The longest body: a largest entry with room for the fields around it.
  package static let bodyLimit = 5 << 20

  package let checksum: UInt32
  package let bodyByteCount: Int
  package let kind: FrameKind
  package let correlation: UInt64

  /// Takes the next frame's header from the front of `input`, which then starts with the whole body.
  ///
  /// Answers nil and takes nothing while the frame is not complete.
  package static func next(
    in input: inout Span<UInt8>,
    bodyLimit: Int
  ) throws(WireError) -> FrameHeader? {
    guard input.count >= byteCount else { return nil }
    var rest = input
    let checksum = try rest.read(UInt32.self)
    let length = try rest.read(UInt32.self)
    guard Int(length) <= bodyLimit else {
      throw .tooLarge(what: "frame", byteCount: UInt64(length), limit: bodyLimit)
    }
    guard input.count >= byteCount + Int(length) else { return nil }
    let covered = input.extracting(4..<(byteCount + Int(length)))
    guard CRC32C(of: covered).value == checksum else { throw .checksum }
    guard let kind = FrameKind(rawValue: try rest.read()) else { throw .invalid("frame kind") }
    guard try rest.read(UInt8.self) == 0, try rest.read(UInt16.self) == 0 else {
      throw .invalid("frame flags")
    }
    let correlation = try rest.read(UInt64.self)
    input = rest
    return FrameHeader(
      checksum: checksum,
      bodyByteCount: Int(length),
      kind: kind,
      correlation: correlation
    )
  }

  /// How many bytes the frame at the front of `input` needs in all, once its length can be seen.
  package static func totalByteCount(of input: borrowing Span<UInt8>) -> Int? {
    guard input.count >= 8 else { return nil }
    let length = (0..<4).reduce(0) { $0 | Int(input[4 + $1]) << (8 * $1) }
    return byteCount + length
  }
}

extension [UInt8] {
  /// Appends a frame whose body `body` appends.
  @inlinable
  package mutating func appendFrame(
    _ kind: FrameKind,
    correlation: UInt64,
    body: (inout [UInt8]) -> Void
  ) {
    let start = beginFrame(kind, correlation: correlation)
    body(&self)
    endFrame(startedAt: start)
  }

  /// Appends a header whose checksum and length ``endFrame(startedAt:)`` fills in.
  @usableFromInline
  package mutating func beginFrame(_ kind: FrameKind, correlation: UInt64) -> Int {
    let start = count
    append(littleEndian: UInt64(0))
    append(littleEndian: UInt32(kind.rawValue))
    append(littleEndian: correlation)
    return start
  }

  /// Completes the frame that began at `start`: the body is everything that was appended since.
  @usableFromInline
  package mutating func endFrame(startedAt start: Int) {
    let byteCount = count - start - FrameHeader.byteCount
    precondition(byteCount <= FrameHeader.bodyLimit, "a frame keeps its limit")
    overwrite(at: start + 4, littleEndian: UInt32(byteCount))
    overwrite(at: start, littleEndian: CRC32C(of: span.extracting((start + 4)...)).value)
  }
}
