internal import RoostClientCore
internal import RoostWire

/// A lease as the cluster granted it: keys that are attached to it go when it ends.
public struct Lease: Sendable, Hashable {
  /// Its number; none is given twice.
  public let id: UInt64
  /// How long it lives without a renewal.
  public let lifetime: Duration
}

/// A lease, seen from outside.
public struct LeaseReport: Sendable, Equatable {
  /// The lease.
  public let lease: Lease
  /// How long it will live if nobody renews it.
  public let remaining: Duration
  /// The session that asked for it; nil: none.
  public let owner: UInt64?
  /// How many keys go with it.
  public let keyCount: Int

  init(_ info: LeaseInfo) {
    lease = Lease(id: info.id, lifetime: .milliseconds(Int64(clamping: info.ttl)))
    remaining = .milliseconds(Int64(clamping: info.remaining))
    owner = info.owner == .zero ? nil : info.owner.rawValue
    keyCount = Int(clamping: info.keyCount)
  }
}

/// Leases: granted, renewed, revoked, kept.
extension Cluster {
  /// Asks for a lease, of 100 ms to 366 days.
  public func grantLease(_ lifetime: Duration) async throws(ClientError) -> Lease {
    let reply = try await run(.grantLease(ttl: lifetime.wholeMilliseconds))
    guard case .leaseGranted(let id, let ttl) = reply else { throw .unexpectedReply }
    return Lease(id: id, lifetime: .milliseconds(Int64(clamping: ttl)))
  }

  /// Lets leases live their lifetimes from now on; answers for each whether it still does.
  @discardableResult
  public func renew(_ leases: [UInt64]) async throws(ClientError) -> [Bool] {
    var lives: [Bool] = []
    for start in stride(from: 0, to: leases.count, by: CommandLimits.leasesARenewal) {
      let end = min(start + CommandLimits.leasesARenewal, leases.count)
      let reply = try await run(.renewLeases(Array(leases[start..<end])))
      guard case .renewed(let renewed) = reply else { throw .unexpectedReply }
      lives += renewed
    }
    return lives
  }

  /// Ends a lease, and removes its keys.
  public func revoke(_ lease: UInt64) async throws(ClientError) {
    _ = try await run(.revokeLease(lease))
  }

  /// Renews a lease from now on, whatever else this client does, until ``stopKeeping(_:)`` or its end.
  public func keep(_ lease: Lease) async {
    await engine.keep(lease.id, ttl: lease.lifetime)
  }

  /// Lets a kept lease go its way.
  public func stopKeeping(_ lease: Lease) async { await engine.stopKeeping(lease.id) }

  /// Waits until a kept lease has ended all the same: true; false if the waiting task is cancelled or the client closed first.
  public func end(of lease: Lease) async -> Bool { await engine.end(ofLease: lease.id) }

  /// Leases that live, by number, from behind one on; 250 at most in one answer, none behind the last.
  public func leases(
    after id: UInt64 = 0,
    limit: Int = 250
  ) async throws(ClientError) -> [LeaseReport] {
    let query = Query.leases(after: id, limit: UInt32(clamping: limit))
    let reply = try await ask(.query(.linearizable, query))
    guard case .inspection(.leases(let leases)) = reply else { throw .unexpectedReply }
    return leases.map { LeaseReport($0) }
  }

  /// One lease with the first of its keys; nil if it has ended.
  public func lease(
    _ id: UInt64,
    keys limit: Int = 100
  ) async throws(ClientError) -> (report: LeaseReport, keys: [[UInt8]])? {
    do throws(ClientError) {
      let query = Query.lease(id, limit: UInt32(clamping: limit))
      let reply = try await ask(.query(.linearizable, query))
      guard case .inspection(.lease(let info, let keys)) = reply else { throw .unexpectedReply }
      return (LeaseReport(info), keys)
    } catch {
      guard case .refused(let refusal) = error, refusal.code == ErrorCode.leaseNotFound.rawValue
      else { throw error }
      return nil
    }
  }
}
