import Glibc
import RoostPlatform

/// Nodes on this machine, started for one run: the `kvd` beside this program, loopback, data on disk, gone afterwards.
final class LocalCluster {
  let addresses: [SocketAddress]
  private(set) var processes: [Int32]
  private let folder: String
  private let program: String
  private let options: LoadOptions

  init(_ options: LoadOptions) throws(LoadError) {
    self.options = options
    program = Self.folderOfThisProgram() + "/kvd"
    // SAFETY: the path is terminated.
    guard unsafe access(program, X_OK) == 0 else {
      throw LoadError("there is no \(program); build it: swift build -c release")
    }
    folder = try Self.makeFolder(in: options.dataDirectory)
    addresses = try Self.freeAddresses(options.nodes)
    processes = [Int32](repeating: 0, count: options.nodes)
    for node in 1...options.nodes { try start(node, founds: true) }
  }

  /// Starts a node that does not run.
  func start(_ node: Int, founds: Bool = false) throws(LoadError) {
    let peers = zip(1..., addresses).map { "\($0)=\($1)" }.joined(separator: ",")
    var words = [
      program, "--id", "\(node)", "--cluster", "be9c", "--peers", peers, "--data",
      "\(folder)/n\(node)",
    ]
    words += options.serverOptions + (founds ? ["--found"] : [])
    processes[node - 1] = try Self.spawn(words, log: "\(folder)/n\(node).log")
  }

  /// Ends a node as a crash would, and waits until it is gone.
  func kill(_ node: Int) {
    let process = processes[node - 1]
    guard process > 0 else { return }
    _ = Glibc.kill(process, SIGKILL)
    _ = waitpid(process, nil, 0)
    processes[node - 1] = 0
  }

  func end() {
    for node in 1...options.nodes { kill(node) }
    Self.remove(folder)
  }

  /// Bytes of the files of all nodes as the disk counts them.
  var diskBytes: Int { Self.sizes(folder) }

  // MARK: The system

  private static func folderOfThisProgram() -> String {
    var bytes = [UInt8](repeating: 0, count: 4096)
    // SAFETY: at most `count` bytes are written.
    let count = unsafe bytes.withUnsafeMutableBytes { buffer in
      guard let start = buffer.baseAddress else { return 0 }
      return unsafe readlink("/proc/self/exe", start, buffer.count)
    }
    let path = String(decoding: bytes[..<max(count, 0)], as: UTF8.self)
    return path.split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 }
  }

  private static func makeFolder(in directory: String?) throws(LoadError) -> String {
    let parent = directory ?? Process.environment("TMPDIR") ?? "/tmp"
    guard !isMemory(parent) else {
      throw LoadError("\(parent) is memory, not a disk: give --data a directory on a disk")
    }
    let path = "\(parent)/kvbench-\(String(Machine.randomBits(), radix: 36))"
    guard unsafe mkdir(path, 0o700) == 0 else {
      throw LoadError("\(SystemError("create \(path)", errno: errno))")
    }
    return path
  }

  /// Whether the file system that a directory lies on is gone with the power.
  private static func isMemory(_ directory: String) -> Bool {
    // SAFETY: realpath answers a string of its own, which is copied and freed here.
    guard let real = unsafe realpath(directory, nil) else { return false }
    let path = unsafe String(cString: real)
    unsafe free(real)
    var best = (length: 0, isMemory: false)
    for line in ServerMeter.lines("/proc/self/mountinfo") {
      let halves = line.split(separator: " - ", maxSplits: 1)
      let fields = halves[0].split(separator: " ")
      guard halves.count == 2, fields.count > 4 else { continue }
      let place = String(fields[4])
      let isAbove = place == "/" || path == place || path.hasPrefix(place + "/")
      if isAbove, place.utf8.count >= best.length {
        best = (place.utf8.count, halves[1].hasPrefix("tmpfs ") || halves[1].hasPrefix("ramfs "))
      }
    }
    return best.isMemory
  }

  private static func freeAddresses(_ count: Int) throws(LoadError) -> [SocketAddress] {
    guard let any = SocketAddress("127.0.0.1:0") else { return [] }
    do throws(SystemError) {
      return try ports(count, at: any).map { any.withPort($0) }
    } catch {
      throw LoadError("\(error)")
    }
  }

  /// Ports that were free just now, all different, since each stays bound until the last is found.
  private static func ports(_ count: Int, at any: SocketAddress) throws(SystemError) -> [UInt16] {
    let socket = try Socket.listening(at: any)
    let port = try socket.localPort()
    return count == 1 ? [port] : [port] + (try ports(count - 1, at: any))
  }

  private static func spawn(_ words: [String], log: String) throws(LoadError) -> Int32 {
    var actions = unsafe posix_spawn_file_actions_t()
    var attributes = posix_spawnattr_t()
    var none = sigset_t()
    var process: pid_t = 0
    // SAFETY: what is initialised here is destroyed here; the words live until the call is over, behind it is a null.
    unsafe posix_spawn_file_actions_init(&actions)
    unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    unsafe posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    unsafe posix_spawn_file_actions_adddup2(&actions, 1, 2)
    unsafe posix_spawnattr_init(&attributes)
    unsafe sigemptyset(&none)
    unsafe posix_spawnattr_setsigmask(&attributes, &none)
    unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    var arguments = unsafe words.map { unsafe strdup($0) } + [nil]
    let result = unsafe posix_spawn(
      &process,
      words[0],
      &actions,
      &attributes,
      &arguments,
      environ
    )
    unsafe arguments.forEach { unsafe free($0) }
    unsafe posix_spawn_file_actions_destroy(&actions)
    unsafe posix_spawnattr_destroy(&attributes)
    guard result == 0 else { throw LoadError("\(SystemError("start \(words[0])", errno: result))") }
    return process
  }

  private static func names(_ path: String) -> [String] {
    guard let directory = try? Directory(at: path) else { return [] }
    return (try? directory.names()) ?? []
  }

  private static func remove(_ path: String) {
    for name in names(path) { remove("\(path)/\(name)") }
    // SAFETY: the path is terminated; a directory that is empty by now, or a file.
    _ = unsafe Glibc.remove(path)
  }

  private static func sizes(_ path: String) -> Int {
    var information = stat()
    // SAFETY: the call fills the struct that it is given.
    guard unsafe lstat(path, &information) == 0 else { return 0 }
    guard information.st_mode & S_IFMT == S_IFDIR else { return information.st_blocks * 512 }
    return names(path).reduce(0) { $0 + sizes("\(path)/\($1)") }
  }
}
