#include "app/store/file_schemas.h"

#include "app/store/bundle.h"
#include "app/usb/usb_rules.h"
#include "vmm/state/file_schema.h"

namespace app {

std::vector<std::string> fileKinds()
{
    std::vector<std::string> kinds(vmm::fileKinds.begin(), vmm::fileKinds.end());
    kinds.insert(kinds.end(), { "bundle", "checksums", "usb-rules" });
    return kinds;
}

vmm::Json fileSchema(std::string_view kind)
{
    using namespace vmm::state;
    if (kind == "bundle")
        return schemaDocument(kind, anyVersion<BundleRecord>());
    if (kind == "checksums")
        return schemaDocument(kind, anyVersion<BundleEnd>());
    if (kind == "usb-rules")
        return schemaDocument(kind, anyVersion<UsbRules>());
    return vmm::fileSchema(kind);
}

}
