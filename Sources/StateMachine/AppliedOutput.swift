package import RoostWire

/// What applying entries answers: a reply for each request, and news for whoever waits.
///
/// One buffer holds all replies and one all events; it is emptied and used again turn after turn, so a
/// reply costs its bytes and no allocation.
package struct AppliedOutput: Sendable {
  /// News for one request of one session, as an `Event` in ``eventBytes``.
  package struct PushedEvent: Hashable, Sendable {
    package let session: SessionID
    /// The request that the news is about, by its sequence.
    package let sequence: SequenceNumber
    package let bytes: Range<Int>
  }

  package internal(set) var replyBytes: [UInt8] = []
  /// Where each reply ends in ``replyBytes``; it starts where the one before ends.
  package internal(set) var replyEnds: [Int] = []
  package internal(set) var eventBytes: [UInt8] = []
  package internal(set) var events: [PushedEvent] = []

  package init() {}

  package var replyCount: Int { replyEnds.count }

  /// Where the reply to the request of that number lies in ``replyBytes``.
  package func replyRange(_ index: Int) -> Range<Int> {
    (index == 0 ? 0 : replyEnds[index - 1])..<replyEnds[index]
  }

  /// Forgets everything and keeps the memory.
  package mutating func removeAll() {
    replyBytes.removeAll(keepingCapacity: true)
    replyEnds.removeAll(keepingCapacity: true)
    eventBytes.removeAll(keepingCapacity: true)
    events.removeAll(keepingCapacity: true)
  }

  /// Where the reply that is being written begins.
  var replyStart: Int { replyEnds.last ?? 0 }

  mutating func endReply() { replyEnds.append(replyBytes.count) }

  mutating func push(_ event: Event, to session: SessionID, about sequence: SequenceNumber) {
    let start = eventBytes.count
    event.encode(into: &eventBytes)
    events.append(
      PushedEvent(session: session, sequence: sequence, bytes: start..<eventBytes.count)
    )
  }
}
