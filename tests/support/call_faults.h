#pragma once

#include <QString>
#include <cerrno>
#include <functional>

namespace tests {

/// What goes wrong with one of the calls by which a process changes files, makes them, or makes them durable, or with
/// one by which it reads them. Not of those that remove: what has failed must be able to tidy up.
struct CallFault {
    enum class Calls : unsigned char { Changing, Reading };
    enum class Way : unsigned char {
        Once,       ///< it does nothing and reports the error
        FromThenOn, ///< and so do all after it
        Torn,       ///< of a write half is done, and it reports the error; anything else fails
        Short,      ///< of a write or a read half is done, as it says; anything else goes well
    };
    unsigned at = ~0U; ///< the number of the call, from 0 on
    Way way = Way::Once;
    int error = EIO;
    Calls calls = Calls::Changing;
};

/// The calls of this process from begin() on, whoever makes them. There is no way back, and no io_uring, whose
/// transfers are no calls: so this is for a process that ends soon.
class CallFaults {
public:
    static bool begin();
    /// Counts anew, and has that one go wrong.
    static void plan(CallFault const& fault);
    /// Nothing goes wrong any more.
    static void end();
    static bool hasStruck(); ///< the one that was planned last
};

/// How a story went in which a call was to go wrong.
struct FaultStory {
    QString wrong; ///< empty: nothing that should not have happened
    bool hasStruck = false;
    bool wasWrite = false; ///< what it struck: so that it can be torn or short
};

/// Tells it in a process of its own, where it calls begin() once it is prepared. It returns what was wrong.
FaultStory tellWithFaults(std::function<QString()> const& story);

}
