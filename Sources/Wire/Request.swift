/// What makes a request the same request when it is sent again.
package enum RequestIdentity: Hashable, Sendable {
  /// A place in a session; `firstIncomplete` says below which the client has every reply.
  ///
  /// Sequence 0 belongs to no place: only commands that do no harm when repeated may carry it.
  case session(SessionID, SequenceNumber, firstIncomplete: SequenceNumber)
  /// A request without a session: 128 random bits, void once cluster time is past `expiry`.
  case oneShot(OneShotID, expiry: ClusterTime)
}

/// 128 random bits that name one request without a session.
package struct OneShotID: Hashable, Sendable {
  package let high: UInt64
  package let low: UInt64

  package init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }
}

extension RequestIdentity: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    let session = try input.read(UInt64.self)
    let first = try input.read(UInt64.self)
    let second = try input.read(UInt64.self)
    guard session == 0 else {
      guard first == 0 || second <= first else { throw .invalid("first incomplete sequence") }
      self = .session(
        SessionID(session),
        SequenceNumber(first),
        firstIncomplete: SequenceNumber(second)
      )
      return
    }
    let expiry = try input.read(UInt64.self)
    self = .oneShot(OneShotID(high: first, low: second), expiry: ClusterTime(expiry))
  }

  package func encode(into output: inout [UInt8]) {
    switch self {
    case .session(let session, let sequence, let firstIncomplete):
      session.encode(into: &output)
      sequence.encode(into: &output)
      firstIncomplete.encode(into: &output)
    case .oneShot(let id, let expiry):
      output.append(littleEndian: UInt64(0))
      output.append(littleEndian: id.high)
      output.append(littleEndian: id.low)
      expiry.encode(into: &output)
    }
  }
}

/// One attempt to run `command` at most once, however often it has to be sent.
///
/// Under a session:
///
///     offset  size  field
///     0       8     session           not 0
///     8       8     sequence          from 1; 0 for a command that may be repeated freely
///     16      8     first incomplete  not above the sequence, unless that is 0
///     24      ...   command
///
/// Without one:
///
///     offset  size  field
///     0       8     0
///     8       16    id                random
///     24      8     expiry            cluster time, nanoseconds
///     32      ...   command
package struct Request: Hashable, Sendable {
  /// The longest request: one largest value and room for what goes with it.
  package static let byteLimit = 3 << 19

  package let identity: RequestIdentity
  package let command: Command

  package init(_ identity: RequestIdentity, _ command: Command) {
    self.identity = identity
    self.command = command
  }
}

extension Request: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    guard input.count <= Self.byteLimit else {
      throw .tooLarge(what: "request", byteCount: UInt64(input.count), limit: Self.byteLimit)
    }
    identity = try RequestIdentity(decoding: &input)
    command = try Command(decoding: &input)
  }

  package func encode(into output: inout [UInt8]) {
    identity.encode(into: &output)
    command.encode(into: &output)
  }
}

/// The payload of a log entry: requests one after another, each behind its length.
///
///     size  field
///     4     length of the request
///     ...   request
package enum RequestBatch {
  /// Appends a request's bytes, unchanged, to a batch.
  package static func append(_ request: borrowing Span<UInt8>, to batch: inout [UInt8]) {
    batch.append(littleEndian: UInt32(request.count))
    batch.append(contentsOf: request)
  }

  /// Appends a request to a batch.
  package static func append(_ request: Request, to batch: inout [UInt8]) {
    let start = batch.count
    batch.append(littleEndian: UInt32(0))
    request.encode(into: &batch)
    batch.overwrite(at: start, littleEndian: UInt32(batch.count - start - 4))
  }
}
