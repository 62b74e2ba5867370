package import RoostWire

/// What the payload of an ``Entry`` is.
package enum EntryKind: UInt8, Sendable {
  /// Nothing: the entry that opens a leader's term.
  case opening = 0
  /// A batch of client requests, opaque to the protocol.
  case requests = 1
  /// A membership of the cluster, in force as soon as it is in the log.
  case membership = 2
}

/// One place in the replicated log.
///
/// An entry holds a whole batch of requests: what waited while the previous batch was being synced.
/// The same payload bytes go to the journal, to the followers and to the state machine.
///
///     offset  size  field
///     0       8     term
///     8       8     index
///     16      8     time      cluster time, nanoseconds; never less than the entry's before
///     24      1     kind      0 opening, 1 requests, 2 membership
///     25      4     length    of the payload
///     29      ...   payload
package struct Entry: Hashable, Sendable {
  /// The longest payload of one entry: a largest request beside others' bytes.
  package static let payloadLimit = 4 << 20
  /// The bytes of an encoded entry besides its payload.
  package static let overhead = 29

  package let term: Term
  package let index: LogIndex
  package let time: ClusterTime
  package let kind: EntryKind
  package let payload: [UInt8]

  package init(
    term: Term,
    index: LogIndex,
    time: ClusterTime,
    kind: EntryKind,
    payload: [UInt8]
  ) {
    precondition(term > .zero && index > .zero, "terms and the log start at 1")
    precondition(payload.count <= Self.payloadLimit, "a payload keeps its limit")
    self.term = term
    self.index = index
    self.time = time
    self.kind = kind
    self.payload = payload
  }
}

extension Entry {
  /// The size of the encoded entry.
  package var byteCount: Int { Self.overhead + payload.count }

  package var position: LogPosition { LogPosition(term: term, index: index) }

  /// The membership that the entry puts in force; nil for another kind, or for bytes that are none.
  package var membership: Membership? {
    guard kind == .membership else { return nil }
    return try? Membership(decodingAll: payload)
  }
}

extension Entry: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    term = try Term(decoding: &input)
    index = try LogIndex(decoding: &input)
    time = try ClusterTime(decoding: &input)
    guard let kind = EntryKind(rawValue: try input.read()) else { throw .invalid("entry kind") }
    self.kind = kind
    payload = try input.readPrefixedBytes("entry payload", limit: Self.payloadLimit)
    guard term > .zero, term.isPlausible, index > .zero, index.isPlausible else {
      throw .invalid("entry position")
    }
  }

  package func encode(into output: inout [UInt8]) {
    term.encode(into: &output)
    index.encode(into: &output)
    time.encode(into: &output)
    output.append(kind.rawValue)
    output.append(prefixed: payload)
  }
}

/// What a node must never forget: the newest term it saw, and whom it voted for in it.
package struct HardState: Hashable, Sendable {
  package var term: Term
  /// ``NodeID/zero`` while the node has not voted in the term.
  package var vote: NodeID

  package init(term: Term = .zero, vote: NodeID = .zero) {
    self.term = term
    self.vote = vote
  }
}

extension HardState: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    term = try Term(decoding: &input)
    vote = try NodeID(decoding: &input)
    guard term.isPlausible else { throw .invalid("term") }
  }

  package func encode(into output: inout [UInt8]) {
    term.encode(into: &output)
    vote.encode(into: &output)
  }
}
