public import RoostClient

/// One of many that try becomes the owner of a name, for good: who runs a migration, who founds a cluster.
///
/// A claim is a key that is created once. It is not a lock: it does not end when its owner dies. A caller that lost the
/// reply claims again and is told that it owns the name, because its own mark stands there.
public struct Claim: Sendable {
  /// The key that stands for the name.
  public let key: [UInt8]
  private let cluster: Cluster

  /// A claim to the name that `key` stands for.
  public init(_ key: [UInt8], on cluster: Cluster) {
    self.key = key
    self.cluster = cluster
  }

  /// Claims the name for `owner`.
  ///
  /// - Parameter owner: A mark that no other claimant uses, such as a host name with a process number.
  /// - Returns: Whose the name is: `owner`'s, or that of whoever came first.
  /// - Throws: ``ClientError``; the call may be repeated with the same mark whatever was thrown.
  public func make(for owner: [UInt8]) async throws(ClientError) -> [UInt8] {
    while true {
      if try await cluster.putIfAbsent(key, owner) { return owner }
      if let found = try await cluster.get(key) { return found.value }
      // Somebody gave the name back between the two calls: it is free again.
    }
  }

  /// Whose the name is, or nil.
  public func owner() async throws(ClientError) -> [UInt8]? {
    try await cluster.get(key)?.value
  }

  /// Gives the name back, whoever owns it; answers whether anybody did.
  @discardableResult
  public func withdraw() async throws(ClientError) -> Bool {
    try await cluster.delete(key)
  }
}
