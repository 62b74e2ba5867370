/// Why a request has no success to report, as a stable number that every client can rely on.
///
/// Numbers below 100 come from the replicated state machine: every replica gives the same answer, and
/// the request had no effect. Numbers from 100 on come from the node that was asked.
package enum ErrorCode: UInt16, Hashable, Sendable, CaseIterable {
  case malformed = 1
  case unsupported = 2
  case tooLarge = 3
  case sessionExpired = 4
  case stale = 5
  case windowExceeded = 6
  case sessionRequired = 7
  case tooManySessions = 8
  case oneShotExpired = 9
  case oneShotTooFarAhead = 10
  case overloaded = 11
  case replyTooLarge = 12
  case conditionFailed = 13
  case fenced = 14
  case prefixBound = 15
  case leaseNotFound = 16
  case invalidTTL = 17
  case notANumber = 18
  case numberOverflow = 19
  case compacted = 20
  case futureRevision = 21
  case lockNotHeld = 22
  case lockBusy = 23
  case lockTimedOut = 24
  case lockCancelled = 25
  case deadlock = 26
  case lockAlreadyHeld = 27
  case lockModeMismatch = 28
  case tooManyOperations = 29
  case nestedTooDeep = 30
  case barred = 31
  case notAuthorised = 32
  case limitReached = 33
  case storedReplyLimit = 34
  case lockForced = 35

  case notLeader = 100
  case noQuorum = 101
  case timedOut = 102
  case shuttingDown = 103
  case leadershipLost = 104
  case diskFull = 105
  case tooOld = 106
  case diverged = 107
  case wrongCluster = 108
  case versionMismatch = 109
  case busy = 110
  case notMember = 111
  case changeUnderWay = 112
  case otherMembership = 113
  case wouldLoseQuorum = 114
  case memberInUse = 115
  case unsoundMembership = 116
  case noSuccessor = 117
}

extension ErrorCode {
  /// Whether the request that got this answer can have had an effect.
  package enum Execution: Hashable, Sendable {
    /// It had none and never will.
    case notExecuted
    /// It may have had one, or may still have it: ask with `outcome`, or retry the same request.
    case unknown
  }

  /// What this answer says about the request's effect.
  package var execution: Execution {
    switch self {
    case .timedOut, .leadershipLost, .stale: .unknown
    default: .notExecuted
    }
  }

  /// What happened and what to do about it, in one sentence.
  package var sentence: String {
    switch self {
    case .malformed: "the request's bytes do not follow the protocol"
    case .unsupported: "this version does not know that command"
    case .tooLarge: "the key, value or request is over its size limit"
    case .sessionExpired: "the session has ended or never was; open a new one"
    case .stale: "the session has said before that it has this request's reply"
    case .windowExceeded: "too many requests of the session are unanswered; wait for replies"
    case .sessionRequired: "this command needs a session"
    case .tooManySessions: "the cluster has as many sessions as it may; close some"
    case .oneShotExpired: "the request's expiry had passed when it was its turn"
    case .oneShotTooFarAhead: "the request's expiry is too far in the future"
    case .overloaded: "the cluster holds as much of this as it may; try again later"
    case .replyTooLarge: "the reply would be over its limit; ask for less at once"
    case .conditionFailed: "the key is not in the state that the request asked for"
    case .fenced: "the lock grant that guards this write no longer holds"
    case .prefixBound: "keys under this prefix may be written with their lock's token alone"
    case .leaseNotFound: "the lease has ended or never was"
    case .invalidTTL: "a time to live must be between 100 ms and 366 days"
    case .notANumber: "the value is not a decimal number"
    case .numberOverflow: "the result does not fit 64 bits"
    case .compacted: "history before the named revision is gone"
    case .futureRevision: "the store has not reached that revision"
    case .lockNotHeld: "the caller does not hold that lock with that token"
    case .lockBusy: "others hold the lock"
    case .lockTimedOut: "the lock did not become free in time"
    case .lockCancelled: "the wait for the lock was cancelled"
    case .deadlock: "waiting for this lock would close a circle of waiters"
    case .lockAlreadyHeld: "the caller holds or awaits the lock already"
    case .lockModeMismatch: "the lock is in use with another number of permits"
    case .tooManyOperations: "the transaction touches too much at once; split it"
    case .nestedTooDeep: "transactions are nested too deeply"
    case .barred: "the outcome of this request was asked for before it arrived, so it may not run"
    case .notAuthorised: "the caller may not do this"
    case .limitReached: "the cluster has as many of these as it may"
    case .storedReplyLimit: "the session holds too many bytes of replies; acknowledge some"
    case .lockForced: "an operator took the lock away"
    case .notLeader: "this node does not lead; ask the one that is named"
    case .noQuorum: "no majority of the cluster can be reached"
    case .timedOut: "no answer in time; the request may still take effect"
    case .shuttingDown: "this node is stopping; ask another"
    case .leadershipLost: "the leader changed; the request may still take effect"
    case .diskFull: "the cluster's disks are full; reads go on, writes wait for space"
    case .tooOld: "this node's state is older than the request allows"
    case .diverged: "this node's state differs from the cluster's; ask another"
    case .wrongCluster: "this node belongs to another cluster"
    case .versionMismatch: "this node does not speak that version of the protocol"
    case .busy: "this node has too much to do; try again later"
    case .notMember: "this node is no member of the cluster, or not yet; ask another"
    case .changeUnderWay: "another change of the members is under way; wait until it is done"
    case .otherMembership: "the membership is not the one that the change was meant for"
    case .wouldLoseQuorum: "too few of the members that would vote are alive"
    case .memberInUse: "that id belongs to a member with another data directory; take a new id"
    case .unsoundMembership: "the cluster would not be sound with those members"
    case .noSuccessor: "no other member can take over now"
    }
  }
}

/// A failure as a reply carries it: the code, and what belongs to it.
///
///     offset  size  field
///     0       2     code     as in `ErrorCode`
///     2       8     detail   a number, by code: a revision, a limit, a node id; else 0
///     10      4+n   bytes    by code: an address, a lock's name, a deadlock's circle; else empty
package struct Failure: Hashable, Sendable {
  package let code: ErrorCode
  package let detail: UInt64
  package let bytes: [UInt8]

  package init(_ code: ErrorCode, detail: UInt64 = 0, bytes: [UInt8] = []) {
    self.code = code
    self.detail = detail
    self.bytes = bytes
  }
}

extension Failure: Error {}

extension Failure: WireCodable {
  /// The longest text or list that belongs to a failure.
  package static let byteLimit = 1 << 16

  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    guard let code = ErrorCode(rawValue: try input.read()) else { throw .invalid("error code") }
    self.code = code
    detail = try input.read()
    bytes = try input.readPrefixedBytes("failure detail", limit: Self.byteLimit)
  }

  package func encode(into output: inout [UInt8]) {
    output.append(littleEndian: code.rawValue)
    output.append(littleEndian: detail)
    output.append(prefixed: bytes)
  }
}
