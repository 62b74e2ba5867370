import RoostJournal
import RoostWire

/// The files of a simulated disk under their names, and what a crash would make of both.
struct SimulatedDirectory: Equatable {
  private enum NameChange: Equatable {
    case link(String, Int)
    case rename(String, String)
    case remove(String)
  }

  private var files: [Int: SimulatedFile] = [:]
  private var nextFile = 1
  private var current: [String: Int] = [:]
  private var durable: [String: Int] = [:]
  private var unsynced: [NameChange] = []

  var byteCount: Int { files.values.reduce(0) { $0 + $1.current.count } }

  var names: [String] { current.keys.sorted() }

  func file(_ name: String) throws(DiskError) -> SimulatedFile {
    guard let number = current[name], let file = files[number] else {
      throw DiskError(operation: "read", file: name, reason: .missing, code: 0)
    }
    return file
  }

  mutating func write(_ bytes: [UInt8], to name: String, at offset: Int) throws(DiskError) {
    let number = try number(of: name)
    files[number]?.write(bytes, at: offset)
  }

  /// Writes, and syncs the file.
  mutating func writeThrough(
    _ bytes: [UInt8],
    to name: String,
    at offset: Int
  ) throws(DiskError) {
    let number = try number(of: name)
    files[number]?.writeThrough(bytes, at: offset)
  }

  mutating func perform(_ operation: DiskOperation, capacity: Int?) throws(DiskError) {
    switch operation {
    case .fill(let name, let byteCount):
      try reserve(byteCount, for: name, capacity: capacity)
      files[open(name)]?.fill(byteCount: byteCount)
    case .write(let name, let offset, let bytes):
      try reserve(offset + bytes.count, for: name, capacity: capacity)
      files[open(name)]?.write(bytes, at: offset)
    case .sync(let name): files[try number(of: name)]?.sync()
    case .rename(let name, let newName):
      _ = try number(of: name)
      change(.rename(name, newName))
    case .remove(let name): change(.remove(name))
    case .syncDirectory:
      durable = current
      unsynced = []
      collect()
    case .verify(let name, let offset, let byteCount, let checksum):
      let content = try file(name).durable.dropFirst(offset).prefix(byteCount)
      guard CRC32C(of: [UInt8](content).span).value == checksum else {
        throw DiskError(operation: "verify", file: name, reason: .mismatch, code: 0)
      }
    }
  }

  mutating func crash(keeping keeps: () -> Bool) {
    current = durable
    for change in unsynced where keeps() { Self.apply(change, to: &current) }
    durable = current
    unsynced = []
    for number in files.keys.sorted() { files[number]?.crash(keeping: keeps) }
    collect()
  }

  mutating func damage(
    _ name: String,
    _ range: Range<Int>,
    _ body: (UInt8) -> UInt8
  ) throws(DiskError) {
    files[try number(of: name)]?.damage(range, body)
  }

  // MARK: Names

  private func number(of name: String) throws(DiskError) -> Int {
    guard let number = current[name] else {
      throw DiskError(operation: "open", file: name, reason: .missing, code: 0)
    }
    return number
  }

  private mutating func open(_ name: String) -> Int {
    if let number = current[name] { return number }
    let number = nextFile
    nextFile += 1
    files[number] = SimulatedFile()
    change(.link(name, number))
    return number
  }

  private mutating func change(_ change: NameChange) {
    Self.apply(change, to: &current)
    unsynced.append(change)
  }

  private static func apply(_ change: NameChange, to names: inout [String: Int]) {
    switch change {
    case .link(let name, let number): names[name] = number
    case .rename(let name, let newName):
      if let number = names.removeValue(forKey: name) { names[newName] = number }
    case .remove(let name): names[name] = nil
    }
  }

  /// Files without a name, now or after a crash, are gone.
  private mutating func collect() {
    let named = Set(current.values).union(durable.values)
    files = files.filter { named.contains($0.key) }
  }

  private func reserve(_ byteCount: Int, for name: String, capacity: Int?) throws(DiskError) {
    guard let capacity else { return }
    let own = current[name].flatMap { files[$0]?.current.count } ?? 0
    guard self.byteCount - own + max(own, byteCount) <= capacity else {
      throw DiskError(operation: "write", file: name, reason: .noSpace, code: 0)
    }
  }
}
