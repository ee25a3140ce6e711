// Sign, biased exponent and significand of a code; a subnormal number keeps its leading zeros and
// has the exponent of the smallest normal ones.
module fp_unpack #(
    parameter E = 5,
    parameter M = 10,
    parameter SUBNORMALS = 1
) (
    input [E+M:0] code,
    output sign,
    output [E-1:0] exponent,
    output [M:0] significand
);
    wire normal = |code[E+M-1:M];
    wire kept = SUBNORMALS ? 1'b1 : normal;
    assign sign = code[E+M];
    assign exponent = {code[E+M-1:M+1], code[M] | ~normal};
    assign significand = {normal, code[M-1:0] & {M{kept}}};
endmodule
