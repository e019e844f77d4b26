/* The create endpoints, at the paths that the providers document. */
#include "sandbox/internal.h"

const struct endpoint endpoints[] = {
    [ENDPOINT_KAKACLO_V2] = {"kakaclo-v2", "/openapi/v2/order/orders", AUTH_BEARER, false, 200, 400, 200,
                             NULL, kakaclo_created, kakaclo_write_id, kakaclo_error},
    [ENDPOINT_KAKACLO_V1] = {"kakaclo-v1", "/openapi/v1/order/order", AUTH_BEARER, false, 200, 400, 200, NULL,
                             kakaclo_created, kakaclo_write_id, kakaclo_error},
    [ENDPOINT_KAKACLO_CUSTOM] = {"kakaclo-custom", "/openapi/v1/product/custom/order", AUTH_BEARER, false,
                                 200, 400, 200, NULL, kakaclo_custom_created, kakaclo_custom_write_id,
                                 kakaclo_error},
    [ENDPOINT_S2] = {"s2", "/order", AUTH_BEARER_ORGANIZATION, true, 200, 400, 400, NULL, s2_created,
                     s2_write_id, s2_error},
    [ENDPOINT_VU] = {"vu", "/api/v1/orders", AUTH_BASIC, true, 200, 422, 422, NULL, vu_created, vu_write_id,
                     vu_error},
    [ENDPOINT_JSON] = {"http-json", "/json/orders", AUTH_CONFIGURED, true, 201, 422, 200, "/reference",
                       json_created, json_write_id, json_error},
};
const uint16_t endpoint_count = sizeof endpoints / sizeof endpoints[0];
