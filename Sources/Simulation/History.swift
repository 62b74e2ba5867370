import RoostClientCore
import RoostWire

/// One call of one client, as the application saw it.
struct RecordedCall {
  let client: Int
  let kind: CallKind
  let startedAt: UInt64
  /// The newest revision that the client had seen when it asked.
  var knownRevision = Revision.zero
  /// As the bytes on the wire named the request; nil if it was never sent.
  var identity: RequestIdentity?
  var endedAt: UInt64?
  /// Nil while it is under way, and for ever if the client died.
  var result: CallResult?

  init(client: Int, kind: CallKind, startedAt: UInt64) {
    self.client = client
    self.kind = kind
    self.startedAt = startedAt
  }

  var isCommand: Bool {
    if case .command = kind { true } else { false }
  }

  /// Whether it does no harm when it is repeated, and so has no place in a session.
  var isRepeatable: Bool {
    if case .command(.renewLeases) = kind { true } else { false }
  }

  /// Whether it may wait for somebody else, for longer than anybody can say.
  var mayWait: Bool {
    if case .command(.acquire(let acquire)) = kind { acquire.wait > 0 } else { false }
  }

  /// The reply, if there was one.
  var reply: Reply? {
    guard case .answered(let bytes) = result else { return nil }
    let reply = try? Reply(decodingAll: bytes)
    if case .observed(_, let observed) = reply { return observed }
    return reply
  }
}

extension RecordedCall: CustomStringConvertible {
  var description: String {
    let end = endedAt.map { "\($0)" } ?? "never"
    return "client \(client + 1), \(startedAt)..\(end): \(kind.story) -> \(outcome)"
  }

  var outcome: String {
    switch result {
    case .answered: reply.map(\.story) ?? "bytes that are no reply"
    case .failed(let failure):
      "\(failure.reason), \(failure.mayHaveExecuted ? "may have happened" : "did not happen")"
    case nil: "no answer"
    }
  }
}

/// How requests and replies are told in stories.
extension CallKind {
  var story: String {
    switch self {
    case .command(.operation(let operation)): operation.story
    case .command(let command): "\(command)"
    case .recent(let query, let age): "\(query) of the last \(age / 1_000_000) ms"
    case .query(let level, .get(let get)): "\(level) get \(text(get.key))"
    case .query(let level, let query): "\(level) \(query)"
    case .status(let endpoint): "status of endpoint \(endpoint)"
    case .admin(let request): "\(request)"
    }
  }
}

extension Operation {
  var story: String {
    switch self {
    case .put(let put):
      "put \(text(put.key)) = \(text(put.value))"
        + (put.options.condition.map { " if \($0)" } ?? "")
    case .delete(let delete): "delete \(text(delete.key))"
    case .get(let get): "get \(text(get.key))"
    case .update(let update): "\(update.change) \(text(update.key))"
    default: "\(self)"
    }
  }
}

extension Reply {
  var story: String {
    switch self {
    case .failure(let failure): "\(failure.code) \(failure.detail)"
    case .written(let written):
      "written at \(written.revision), version \(written.version)"
        + (written.number.map { ", is \($0)" } ?? "")
    case .deleted(let deleted): "deleted \(deleted.count) at \(deleted.revision)"
    case .value(let revision, let entry):
      "at \(revision): "
        + (entry.map { "\(text($0.value)), version \($0.version)" } ?? "absent")
    default: "\(self)"
    }
  }
}

/// Bytes as short text.
func text(_ bytes: [UInt8]) -> String {
  let short = String(decoding: bytes.prefix(24), as: UTF8.self)
  return bytes.count > 24 ? "\(short)... (\(bytes.count) bytes)" : short
}
