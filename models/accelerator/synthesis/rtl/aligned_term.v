// A term of an aligned sum: a significand with F bits behind the point, shifted right by
// `distance`, cut to KEPT bits behind the point, in two's complement.
module aligned_term #(
    parameter P = 8,
    parameter F = 6,
    parameter KEPT = 13,
    parameter X = 8  // bits of the distance, unsigned
) (
    input sign,
    input [P-1:0] significand,
    input [X-1:0] distance,
    output [KEPT+2:0] term
);
    localparam V = (F > KEPT ? F : KEPT) + 2;
    wire [V-1:0] wide = significand;
    wire [V-1:0] cut = (wide << (V - 2 - F)) >> (V - 2 - KEPT);  // cutting twice is cutting once
    wire [KEPT+1:0] shifted = cut[KEPT+1:0] >> distance;
    assign term = sign ? -{1'b0, shifted} : {1'b0, shifted};
endmodule
