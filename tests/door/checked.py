"""Reads messages as lines of hex, and has two D-Bus implementations that are not ours judge each: GLib and libdbus.

Prints for each line what GLib read, on one line, or "GLib: …" / "libdbus: …" with the complaint.
"""

import ctypes
import sys

gio = ctypes.CDLL("libgio-2.0.so.0")
glib = ctypes.CDLL("libglib-2.0.so.0")
dbus = ctypes.CDLL("libdbus-1.so.3")


class GError(ctypes.Structure):
    _fields_ = [("domain", ctypes.c_uint32), ("code", ctypes.c_int), ("message", ctypes.c_char_p)]


class DBusError(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("message", ctypes.c_char_p), ("flags", ctypes.c_uint), ("padding", ctypes.c_void_p)]


gio.g_dbus_message_new_from_blob.restype = ctypes.c_void_p
gio.g_dbus_message_new_from_blob.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_void_p]
gio.g_dbus_message_print.restype = ctypes.c_char_p
gio.g_dbus_message_print.argtypes = [ctypes.c_void_p, ctypes.c_uint]
dbus.dbus_message_demarshal.restype = ctypes.c_void_p
dbus.dbus_message_demarshal.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p]


def by_glib(message):
    error = ctypes.POINTER(GError)()
    read = gio.g_dbus_message_new_from_blob(message, len(message), 0, ctypes.byref(error))
    if not read:
        return None, "GLib: " + error.contents.message.decode()
    lines = gio.g_dbus_message_print(read, 0).decode().splitlines()
    return " ".join(line.strip() for line in lines), None


def by_libdbus(message):
    error = DBusError()
    dbus.dbus_error_init(ctypes.byref(error))
    if not dbus.dbus_message_demarshal(message, len(message), ctypes.byref(error)):
        return "libdbus: " + error.message.decode()
    return None


for line in sys.stdin:
    message = bytes.fromhex(line)
    shown, complaint = by_glib(message)
    print(complaint or by_libdbus(message) or shown)
