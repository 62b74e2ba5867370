internal import RoostClientCore
internal import RoostWire

/// The name under which the cluster knows a request: a session and a number in it.
public struct RequestID: Sendable, Hashable, CustomStringConvertible {
  /// The session.
  public let session: UInt64
  /// The request's number in it.
  public let sequence: UInt64

  /// Names a request.
  public init(session: UInt64, sequence: UInt64) {
    self.session = session
    self.sequence = sequence
  }

  /// As `kvctl outcome` takes it.
  public var description: String { "\(session) \(sequence)" }
}

/// What became of a request.
public enum RequestOutcome: Sendable, Equatable {
  /// It took effect.
  case executed
  /// It was refused, and had no effect.
  case refused(Refusal)
  /// It was not executed, and from now on never will be.
  case barred
  /// It waits for a lock.
  case waiting
  /// Nobody knows any more: its session is gone, or has said that it needs the reply no longer.
  case forgotten
}

/// A session, seen from outside.
public struct SessionReport: Sendable, Equatable {
  /// Its number; none is given twice.
  public let id: UInt64
  /// How long it lives without a sign of life.
  public let lifetime: Duration
  /// How long it will live if there is none.
  public let remaining: Duration
  /// How many keys live as long as it does.
  public let keys: UInt64
  /// How many acquires of it hold locks or wait for them.
  public let locks: UInt64
  /// Who it is.
  public let label: String
}

extension Cluster {
  /// Asks what became of a request, and sees to it that nothing more can.
  public func outcome(of request: RequestID) async throws(ClientError) -> RequestOutcome {
    guard request.session > 0, request.sequence > 0 else {
      throw .invalid("sessions and their requests are numbered from 1")
    }
    let name = Outcome(
      session: SessionID(request.session),
      sequence: SequenceNumber(request.sequence)
    )
    let reply = try await run(.outcome(name))
    guard case .outcome(let outcome) = reply else { throw .unexpectedReply }
    switch outcome {
    case .executed(.failure(let failure)): return .refused(Refusal(failure))
    case .executed: return .executed
    case .barred: return .barred
    case .waiting: return .waiting
    case .forgotten: return .forgotten
    }
  }

  /// Sessions that live, by number, from behind one on; 250 at most in one answer, none behind the last.
  public func sessions(
    after id: UInt64 = 0,
    limit: Int = 250
  ) async throws(ClientError) -> [SessionReport] {
    let query = Query.sessions(after: id, limit: UInt32(clamping: limit))
    let reply = try await ask(.query(.linearizable, query))
    guard case .inspection(.sessions(let sessions)) = reply else { throw .unexpectedReply }
    return sessions.map {
      SessionReport(
        id: $0.id.rawValue,
        lifetime: .milliseconds(Int64(clamping: $0.ttl)),
        remaining: .milliseconds(Int64(clamping: $0.remaining)),
        keys: $0.keyCount,
        locks: $0.claimCount,
        label: String(decoding: $0.label, as: UTF8.self)
      )
    }
  }

  /// This client's session; nil before its first change and after the session's end.
  public func session() async -> UInt64? { await engine.session }
}
