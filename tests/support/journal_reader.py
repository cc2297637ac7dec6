"""Reads a journal's files by docs/journal-format.md and nothing else: a second opinion beside the product's own reader. It goes on
from where it ended the last time, so that a journal that is read after each of thousands of crashes is read once."""
import ctypes
import fcntl
import glob
import hashlib
import os
import struct
import time
from dataclasses import dataclass

BLOCK = 4096
HEADER = struct.Struct("<8sII16sQQQQQII32sIIQQ")
BATCH = struct.Struct("<IIIIQQQII32s")
RECORDS_AT = 96
FRAME = struct.Struct("<IIHHIQ")
MAGIC, BATCH_MAGIC = b"TRIPJRNL", 0x48435442
LOCK_SECONDS = 20
VIOLATION, WEBHOOK, CHECKPOINT = 1, 2, 9
VIOLATION_FIXED = struct.Struct("<16sIBBBB16s128sQQII")
WEBHOOK_FIXED = struct.Struct("<16s16s32sQHBBI64s")
WEBHOOK_AUDIT = struct.Struct("<QQ16sHHIIIIHBB")

_isal = ctypes.CDLL("libisal.so.2")
_isal.crc32_iscsi.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_uint]
_isal.crc32_iscsi.restype = ctypes.c_uint


class Damage(Exception):
    """What the format does not allow after any crash."""


@dataclass
class Record:
    lsn: int
    type: int
    shard: int
    content: bytes  # behind frame and header

    def violation_id(self):
        return self.content[:16]

    def violation_texts(self):
        """Rule and message."""
        texts, at = [], VIOLATION_FIXED.size
        for _ in range(2):
            length = int.from_bytes(self.content[at:at + 2], "little")
            texts.append(self.content[at + 2:at + 2 + length].decode())
            at += 2 + length
        return texts

    def webhook(self):
        """Correlation id, SHA-256 of the body and source."""
        fields = WEBHOOK_FIXED.unpack_from(self.content)
        return fields[0], fields[2], fields[8][:fields[6]].decode()

    def webhook_violations(self):
        """How many it raised, by its own account, and the ids of the first of them."""
        fields = WEBHOOK_AUDIT.unpack_from(self.content, WEBHOOK_FIXED.size)
        at = WEBHOOK_FIXED.size + WEBHOOK_AUDIT.size
        return fields[5], [self.content[at + 16 * i:at + 16 * (i + 1)] for i in range(fields[11])]


def checksum(seed, data):
    return _isal.crc32_iscsi(data, len(data), seed)


def wait_until_left(directory):
    """A killed daemon's last write may still be on its way to the disk; its lock goes when the kernel is done with it."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    deadline = time.monotonic() + LOCK_SECONDS
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.002)
    finally:
        os.close(handle)


class JournalReader:
    def __init__(self, directory):
        self.directory = directory
        self.segment, self.offset, self.seed = 0, 0, 0
        self.next_lsn, self.previous_checksum, self.chain = 1, 0, bytes(32)
        self.header_block, self.first_in_segment = b"", False

    def read_on(self):
        """All records from where the last call ended to the journal's end, one after the other. Raises Damage."""
        while True:
            if self.segment:
                yield from self._read_batches()
            if not self._open_next():
                return

    def _name(self, segment):
        return os.path.join(self.directory, f"journal-{segment:016x}.seg")

    def _open_next(self):
        following = self.segment + 1
        try:
            with open(self._name(following), "rb") as file:
                block = file.read(BLOCK)
        except FileNotFoundError:
            newer = [name for name in glob.glob(os.path.join(self.directory, "journal-*.seg")) if name > self._name(following)]
            if newer:
                raise Damage(f"segment {following} is missing before {newer}") from None
            return False
        if block[:8] != MAGIC:
            return False
        fields = HEADER.unpack_from(block)
        _, version, crc, node, salt, segment, first_lsn = fields[:7]
        if checksum(checksum(0xffffffff, block[:12]), block[16:]) != crc:
            return False  # torn: nothing may be behind it, which the product's own recovery judges
        if (version, segment, first_lsn) != (2, following, self.next_lsn):
            raise Damage(f"segment {following}: version {version}, id {segment}, LSN {first_lsn}, expected {self.next_lsn}")
        if fields[10] != self.previous_checksum or fields[11] != self.chain:
            raise Damage(f"segment {following} does not go on from the one before it")
        self.segment, self.offset, self.header_block, self.first_in_segment = segment, BLOCK, block, True
        self.seed = checksum(0xffffffff, node + struct.pack("<QQ", salt, segment))
        return True

    def _read_batches(self):
        with open(self._name(self.segment), "rb") as file:
            while True:
                file.seek(self.offset)
                block = file.read(BLOCK)
                if len(block) < BLOCK:
                    return
                magic, crc, length = struct.unpack_from("<III", block)
                if magic != BATCH_MAGIC or length < BLOCK or length % BLOCK:
                    return
                batch = block + file.read(length - BLOCK)
                records = self._take_batch(batch, crc) if len(batch) == length else None
                if records is None:
                    return
                yield from records

    def _take_batch(self, batch, crc):
        """Its records, or None when it is torn."""
        _, _, length, count, first_lsn, segment, _, previous, used, chain = BATCH.unpack_from(batch)
        seed = (self.seed ^ first_lsn ^ first_lsn >> 32) & 0xffffffff
        if checksum(checksum(seed, batch[RECORDS_AT:]), batch[8:RECORDS_AT]) != crc:
            return None
        where = f"segment {self.segment} offset {self.offset}"
        if (first_lsn, segment, previous) != (self.next_lsn, self.segment, self.previous_checksum):
            raise Damage(f"{where}: a batch of LSN {first_lsn} in segment {segment}, expected LSN {self.next_lsn}")
        if chain != self.chain:
            raise Damage(f"{where}: the hash chain is broken")
        records, at = [], RECORDS_AT
        for lsn in range(first_lsn, first_lsn + count):
            size, record_crc, kind, shard, again, _ = FRAME.unpack_from(batch, at)
            record = batch[at + 8:at + 8 + size]
            if size != again or len(record) != size or checksum((self.seed ^ lsn ^ lsn >> 32) & 0xffffffff, record) != record_crc:
                raise Damage(f"{where}: the record of LSN {lsn}")
            records.append(Record(lsn, kind, shard, record[16:]))
            at += 8 + (size + 7 & ~7)
        if at != used:
            raise Damage(f"{where}: {used} bytes in use, its records end at {at}")
        self.chain = hashlib.sha256((self.header_block if self.first_in_segment else b"") + batch).digest()
        self.first_in_segment, self.previous_checksum = False, crc
        self.next_lsn += count
        self.offset += length
        return records
