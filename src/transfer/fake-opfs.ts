/** For the tests of this folder: a private file system in memory, which can tear the last file that is written. */

const missing = () => new DOMException("not found", "NotFoundError")

/** What happens when a file is saved; throw to die there. `undefined` writes nothing. */
type OnSave = (name: string, bytes: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer> | undefined

class FakeFile {
  readonly kind = "file"
  readonly name: string
  readonly #parent: FakeDirectory
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array()
  move: ((name: string) => Promise<void>) | undefined

  constructor(name: string, parent: FakeDirectory, canMove: boolean) {
    this.name = name
    this.#parent = parent
    if (canMove) this.move = async (to) => parent.rename(name, to)
  }

  async getFile(): Promise<File> {
    return new File([this.bytes], this.name)
  }

  async createWritable({ keepExistingData = false } = {}) {
    let data = keepExistingData ? this.bytes.slice() : new Uint8Array()
    return {
      write: async (what: Uint8Array<ArrayBuffer> | { position: number; data: Uint8Array<ArrayBuffer> }) => {
        const { position, data: piece } = what instanceof Uint8Array ? { position: 0, data: what } : what
        const grown = new Uint8Array(Math.max(data.length, position + piece.length))
        grown.set(data)
        grown.set(piece, position)
        data = grown
      },
      truncate: async (size: number) => {
        data = data.slice(0, size)
      },
      close: async () => {
        const saved = this.#parent.onSave(this.name, data)
        if (saved !== undefined) this.bytes = saved
      },
    }
  }
}

export class FakeDirectory {
  readonly kind = "directory"
  readonly name: string
  readonly children = new Map<string, FakeDirectory | FakeFile>()
  readonly #options: { canMove: boolean; onSave: OnSave }

  constructor(name = "", options: { canMove?: boolean; onSave?: OnSave } = {}) {
    this.name = name
    this.#options = { canMove: true, onSave: (_, bytes) => bytes, ...options }
  }

  /** As the code under test sees it. */
  get handle(): FileSystemDirectoryHandle {
    return this as unknown as FileSystemDirectoryHandle
  }

  onSave(name: string, bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> | undefined {
    return this.#options.onSave(name, bytes)
  }

  /** Lets a test change what saving does. */
  set saving(onSave: OnSave) {
    this.#options.onSave = onSave
  }

  rename(from: string, to: string): void {
    const file = this.children.get(from)
    if (!(file instanceof FakeFile)) throw missing()
    const moved = new FakeFile(to, this, this.#options.canMove)
    moved.bytes = file.bytes
    this.children.delete(from)
    this.children.set(to, moved)
  }

  async getDirectoryHandle(name: string, { create = false } = {}): Promise<FakeDirectory> {
    const known = this.children.get(name)
    if (known instanceof FakeFile) throw new DOMException("a file", "TypeMismatchError")
    if (known === undefined && !create) throw missing()
    const folder = known ?? new FakeDirectory(name, this.#options)
    this.children.set(name, folder)
    return folder
  }

  async getFileHandle(name: string, { create = false } = {}): Promise<FakeFile> {
    const known = this.children.get(name)
    if (known instanceof FakeDirectory) throw new DOMException("a directory", "TypeMismatchError")
    if (known === undefined && !create) throw missing()
    const file = known ?? new FakeFile(name, this, this.#options.canMove)
    this.children.set(name, file)
    return file
  }

  async removeEntry(name: string): Promise<void> {
    if (!this.children.delete(name)) throw missing()
  }

  async *keys(): AsyncGenerator<string> {
    yield* [...this.children.keys()]
  }

  /** Paths and contents below here. */
  list(prefix = ""): Map<string, string> {
    const found = new Map<string, string>()
    for (const [name, child] of this.children) {
      if (child instanceof FakeFile) found.set(prefix + name, new TextDecoder().decode(child.bytes))
      else for (const [path, text] of child.list(`${prefix}${name}/`)) found.set(path, text)
    }
    return found
  }
}
