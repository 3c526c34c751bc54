"""python-dbusmock's logind, which also tells of its delay inhibitors, as the real one does: by a property."""

from dbusmock import mockobject
from dbusmock.templates import logind
from dbusmock.templates.logind import *


class Inhibitors(list):
    def __init__(self, mock):
        super().__init__()
        self.mock = mock

    def append(self, inhibitor):
        super().append(inhibitor)
        self.tell()

    def remove(self, inhibitor):
        super().remove(inhibitor)
        self.tell()

    def tell(self):
        held = sorted({what for what, _, _, mode, *_ in self if mode == "delay"})
        self.mock.UpdateProperties(MAIN_IFACE, {"DelayInhibited": ":".join(held)})


def load(mock, parameters):
    logind.load(mock, parameters)
    mock.AddProperty(MAIN_IFACE, "DelayInhibited", "")
    mockobject.inhibitors = Inhibitors(mock)
