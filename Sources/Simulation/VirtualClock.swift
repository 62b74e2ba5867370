import RoostWire

/// One machine's monotonic clock over the world's time: it has its own start and its own rate, and may leap.
struct VirtualClock: Equatable {
  private var worldAnchor: UInt64
  private var localAnchor: UInt64
  /// How much faster than the world's it runs, in millionths; less than 0: slower.
  private(set) var drift: Int64

  init(start: UInt64, drift: Int64, world: UInt64) {
    localAnchor = start
    self.drift = drift
    worldAnchor = world
  }

  func local(at world: UInt64) -> Instant {
    let passed = Int64(world - worldAnchor)
    let million: Int64 = 1_000_000
    let extra = passed / million * drift + passed % million * drift / million
    return Instant(nanoseconds: localAnchor + UInt64(passed + extra))
  }

  /// The first moment of the world at which this clock shows at least `local`.
  func world(at local: Instant) -> UInt64 {
    guard local.nanoseconds > localAnchor else { return worldAnchor }
    let rate = UInt64(1_000_000 + drift)
    let passed = local.nanoseconds - localAnchor
    guard passed < 1 << 60 else { return .max }
    var world = worldAnchor + passed / rate * 1_000_000 + passed % rate * 1_000_000 / rate
    while self.local(at: world) < local { world += 1 }
    return world
  }

  mutating func setDrift(_ drift: Int64, at world: UInt64) {
    localAnchor = local(at: world).nanoseconds
    worldAnchor = world
    self.drift = drift
  }

  mutating func jump(by nanoseconds: UInt64, at world: UInt64) {
    localAnchor = local(at: world).nanoseconds + nanoseconds
    worldAnchor = world
  }
}
